import Workflow

/// A record of a dead-letter topic.
package struct DeadRecord: Sendable {
    package var offset: Int64
    package var key: [UInt8]
    package var value: [UInt8]?
    package var headers: [(name: String, value: [UInt8]?)]

    package init(offset: Int64, key: [UInt8], value: [UInt8]?, headers: [(name: String, value: [UInt8]?)]) {
        self.offset = offset
        self.key = key
        self.value = value
        self.headers = headers
    }
}

/// A record of a dead-letter topic that was understood: what is stored of it.
struct ReadLetter: Sendable {
    var key: String
    var place: DeadLetterPlace
    var topic: String
    var partition: Int32
    var offset: Int64
    var reason: String
    /// The beginning of a value that is too large.
    var value: [UInt8]?
    var valueBytes: Int
    var headers: JSONValue

    /// nil when the record is no letter of this queue.
    init?(_ record: DeadRecord, of queueID: QueueID, _ plan: Plan) {
        guard let key = String(validating: record.key, as: UTF8.self), key.utf8.count <= 400 else {
            return nil
        }
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, let partition = Int32(parts[1]), let offset = Int64(parts[2]), offset >= 0,
            let place = Self.place(of: record, String(parts[0]), partition, queueID, plan)
        else { return nil }
        self.key = key
        self.place = place
        topic = String(parts[0])
        self.partition = partition
        self.offset = offset
        let reasons = record.headers.filter { $0.name == RecordHeader.reason }.compactMap(\.value)
        // A text column takes no NUL.
        reason =
            reasons.last.map { String(decoding: $0.filter { $0 != 0 }, as: UTF8.self) } ?? "no reason given"
        value = record.value.map { Array($0.prefix(DeadLetter.valueBytesMax)) }
        valueBytes = record.value?.count ?? 0
        headers = .array(
            record.headers.filter { $0.name != RecordHeader.reason }.prefix(DeadLetter.headersMax).map(
                Self.json))
    }

    private static func place(
        of record: DeadRecord, _ topic: String, _ partition: Int32, _ queueID: QueueID, _ plan: Plan
    ) -> DeadLetterPlace? {
        guard plan.transport == .shared else {
            return DeadLetterPlace(topic: topic, partition: partition, of: queueID, plan)
        }
        func text(_ name: String) -> String? {
            record.headers.last { $0.name == name }?.value.flatMap { String(validating: $0, as: UTF8.self) }
        }
        guard text(RecordHeader.queue) == queueID.rawValue,
            let step = text(RecordHeader.step).flatMap({ StepID($0) }),
            let instance = text(RecordHeader.instance)
        else { return nil }
        return DeadLetterPlace(sink: InstanceID(step: step, instance: instance), of: plan)
    }

    private static func json(_ header: (name: String, value: [UInt8]?)) -> JSONValue {
        let name = JSONValue.string(String(header.name.prefix(200)).replacing("\0", with: ""))
        guard let value = header.value?.prefix(DeadLetter.headerBytesMax) else {
            return .object(["name": name, "value": .null])
        }
        guard let text = String(validating: value, as: UTF8.self), !text.utf8.contains(0) else {
            return .object(["name": name, "hex": .string(value.map(hex).joined())])
        }
        return .object(["name": name, "value": .string(text)])
    }

    private static func hex(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
}
