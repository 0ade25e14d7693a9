import KafkaBridge
import MarketData
import Workflow

/// Whose record one of a shared topic is: what its headers say.
struct StreamTag: Sendable, Hashable {
    var queueID: QueueID
    /// The instance that stores it, and its attempt.
    var id: InstanceID
    var attempt: Int
    var collection: CollectionName
    var symbol: Symbol
    /// nil for trades.
    var interval: KlineInterval?
    /// As the request named it; for people.
    var type: String

    var name: StreamName { StreamName(queue: queueID, id: id, attempt: attempt) }

    /// The headers of the stream's records, for those that are written anew.
    var headers: [RecordBatch.Header] {
        var headers: [(String, String)] = [
            (RecordHeader.queue, queueID.rawValue), (RecordHeader.step, id.step.rawValue),
            (RecordHeader.instance, id.instance), (RecordHeader.sinkAttempt, String(attempt)),
            (RecordHeader.collection, collection.rawValue), (RecordHeader.type, type),
        ]
        if let interval { headers.append((RecordHeader.interval, interval.keyText)) }
        return headers.map { ($0.0, Array($0.1.utf8)) }
    }
}

extension StreamTag {
    /// The headers that tell streams apart, as bytes: enough to find a stream that is known already.
    static func identity(of record: ConsumedRecord) -> [UInt8] {
        var identity: [UInt8] = []
        identity.reserveCapacity(128)
        for name in [RecordHeader.queue, RecordHeader.step, RecordHeader.instance, RecordHeader.sinkAttempt] {
            record.withHeader(name) { bytes in
                if let bytes { identity.append(contentsOf: bytes) }
            }
            identity.append(0)
        }
        return identity
    }

    /// - Throws: ``UnreadableTag`` when a header is missing or wrong: the record is nobody's.
    init(_ record: ConsumedRecord) throws(UnreadableTag) {
        func text(_ name: String) throws(UnreadableTag) -> String {
            guard let bytes = record.header(name), let text = String(validating: bytes, as: UTF8.self) else {
                throw UnreadableTag(reason: "it has no \(name)")
            }
            return text
        }
        guard let queueID = QueueID(try text(RecordHeader.queue)) else {
            throw UnreadableTag(reason: "\(RecordHeader.queue) is no queue's id")
        }
        guard let step = StepID(try text(RecordHeader.step)) else {
            throw UnreadableTag(reason: "\(RecordHeader.step) is no step's id")
        }
        guard let attempt = record.integerHeader(RecordHeader.sinkAttempt), (1...1_000_000).contains(attempt)
        else { throw UnreadableTag(reason: "\(RecordHeader.sinkAttempt) is no attempt's number") }
        guard let collection = CollectionName(try text(RecordHeader.collection)) else {
            throw UnreadableTag(reason: "\(RecordHeader.collection) is no collection's name")
        }
        guard let key = record.key, let symbol = Symbol(String(decoding: key, as: UTF8.self)) else {
            throw UnreadableTag(reason: "its key is no symbol")
        }
        var interval: KlineInterval?
        if record.header(RecordHeader.interval) != nil {
            interval = KlineInterval(keyText: try text(RecordHeader.interval))
            guard interval != nil else {
                throw UnreadableTag(reason: "\(RecordHeader.interval) is no interval")
            }
        }
        self.init(
            queueID: queueID, id: InstanceID(step: step, instance: try text(RecordHeader.instance)),
            attempt: Int(attempt), collection: collection, symbol: symbol, interval: interval,
            type: try text(RecordHeader.type))
    }
}

/// Why nobody can tell whose record one is.
struct UnreadableTag: Error, Sendable, Equatable {
    var reason: String
}
