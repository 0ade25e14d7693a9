import MarketData
import PostgresBridge
import Workflow

/// A record that could not become a document, as it was copied from its dead-letter topic.
package struct DeadLetter: Sendable, Hashable {
    package enum State: String, Sendable, CaseIterable {
        case open, replayed, discarded
    }

    /// Of a larger value only this much is kept; such a letter needs another value to be replayed.
    package static let valueBytesMax = 256 << 10
    package static let headersMax = 50
    package static let headerBytesMax = 4_096
    /// Letters are kept this long.
    package static let keepDays = 30

    package var queueID: QueueID
    /// Its number, unique over all queues.
    package var number: Int64
    /// `<data topic>/<partition>/<offset>`.
    package var key: String
    package var id: InstanceID
    package var topic: String
    package var partition: Int32
    package var offset: Int64
    package var reason: String
    package var value: [UInt8]?
    package var valueBytes: Int
    package var headers: JSONValue
    package var firstSeen: String
    package var state: State
    package var settledAt: String?
    package var settledBy: String?
    package var editedValue: [UInt8]?

    var isCut: Bool { valueBytes > (value?.count ?? 0) }

    static let columns = """
        queue_id, letter, key, step, instance, topic, partition, record_offset, reason, value, value_bytes, \
        headers::text AS headers, \(timeText("first_seen")), state, \(timeText("settled_at")), settled_by, \
        edited_value
        """

    init(_ row: PostgresRow) throws {
        queueID = try row.queueID("queue_id")
        number = try row["letter", as: Int64.self]
        key = try row["key", as: String.self]
        id = InstanceID(step: try row.stepID("step"), instance: try row["instance", as: String.self])
        topic = try row["topic", as: String.self]
        partition = try row["partition", as: Int32.self]
        offset = try row["record_offset", as: Int64.self]
        reason = try row["reason", as: String.self]
        value = try row["value", as: [UInt8]?.self]
        valueBytes = try row["value_bytes", as: Int.self]
        headers = try MessageCodec.decode(JSONValue.self, fromText: try row["headers", as: String.self])
        firstSeen = try row["first_seen", as: String.self]
        state = try row.word("state", as: State.self)
        settledAt = try row["settled_at", as: String?.self]
        settledBy = try row["settled_by", as: String?.self]
        editedValue = try row["edited_value", as: [UInt8]?.self]
    }
}

/// Which letters of a queue; nil: any.
package struct DeadLetterFilter: Sendable, Hashable {
    package var state: DeadLetter.State?
    package var step: StepID?

    package init(state: DeadLetter.State? = nil, step: StepID? = nil) {
        self.state = state
        self.step = step
    }
}

/// Where a letter's record was to go.
struct DeadLetterPlace: Sendable, Hashable {
    /// The instance that reads the partition; of several the plan's first.
    var id: InstanceID
    var symbol: Symbol
    /// nil for trades.
    var interval: KlineInterval?
    /// One for each step that reads the partition.
    var collections: [CollectionName]

    /// nil when the plan has no such topic or partition.
    init?(topic: String, partition: Int32, of queueID: QueueID, _ plan: Plan) {
        let producer = plan.steps.first {
            $0.target.isProducer && plan.isDataTopic(topic, of: $0.id, queueID)
        }
        guard let producer,
            let written = plan.instances(of: producer).first(where: { $0.partition == partition }),
            let symbol = Symbol(written.symbol)
        else { return nil }
        let readers = plan.steps.filter { $0.target.isConsumer && $0.input == producer.id }.compactMap {
            step in
            plan.instances(of: step).first { $0.inputs.contains(written.name) }.map { (step, $0) }
        }
        guard let (_, first) = readers.first else { return nil }
        id = first.id
        self.symbol = symbol
        interval = KlineInterval(rawValue: written.interval)
        collections = readers.compactMap { step, instance in
            instance.collectionName(of: step, in: plan).flatMap { CollectionName($0) }
        }
    }
}

extension DeadLetterPlace {
    /// Of a record that came over a shared topic, whose headers say who was to store it; nil when the plan has no
    /// such instance.
    init?(sink id: InstanceID, of plan: Plan) {
        guard plan.isShared(id.step), let step = plan.step(id.step), let instance = plan.instance(id),
            let symbol = Symbol(instance.symbol)
        else { return nil }
        let collection = instance.collectionName(of: step, in: plan).flatMap { CollectionName($0) }
        self.id = id
        self.symbol = symbol
        interval = KlineInterval(rawValue: instance.interval)
        collections = [collection].compactMap(\.self)
    }
}

/// A topic with dead letters of a queue.
struct DeadLetterSource: Sendable, Hashable {
    var topic: String
    /// Names how far it was read for the queue.
    var position: String

    /// Those of a queue's runs, from the first to `runs`; the letters of shared topics lie among those of other
    /// queues, so how far they were read is known for each queue.
    static func all(
        of queueID: QueueID, _ plan: Plan, runs: Int, _ shared: SharedTopics
    ) -> [DeadLetterSource] {
        guard plan.transport == .shared else {
            return plan.dataTopics(queueID, runs: runs).map {
                let topic = DerivedName.deadLetterTopic(dataTopic: $0)
                return DeadLetterSource(topic: topic, position: topic)
            }
        }
        return Set(plan.steps.filter(\.target.isProducer).map { shared.topic(of: $0.target) }).sorted().map {
            let topic = DerivedName.deadLetterTopic(dataTopic: $0)
            return DeadLetterSource(topic: topic, position: "\(topic)/\(queueID)")
        }
    }
}
