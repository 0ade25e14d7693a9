import KafkaBridge
import ServiceLifecycle
import Workflow

/// The topics all queues share, and how to create them where they are not there.
package struct EngineTopics: Sendable {
    package var control: String
    package var events: String
    /// Only used when a topic is created; later the topic itself says (never changed, design section 5).
    package var partitions: Int
    /// nil: the broker's default.
    package var replication: Int?

    package init(control: String, events: String, partitions: Int = 12, replication: Int? = nil) {
        self.control = control
        self.events = events
        self.partitions = partitions
        self.replication = replication
    }
}

/// The engine's side of the broker: one admin client and one producer, closed at shutdown.
package struct EngineKafka: Service {
    package let broker: EngineBroker
    private let admin: KafkaAdmin
    /// Asks where partitions end: whoever makes a topic may wait for long.
    private let asker: KafkaAdmin
    private let producer: RenewingProducer

    /// Shorter than the lease of an event partition.
    private static let endsTimeout = Duration.seconds(1)
    /// Events are kept at least this long, so that a queue-manager that was away finds them.
    private static let eventsRetentionMilliseconds = 7 * 24 * 3_600 * 1_000

    /// Creates the shared topics unless they exist and learns their partition counts.
    package static func connect(
        _ connection: KafkaConnection, topics: EngineTopics, observe: @escaping KafkaObserver
    ) async throws -> EngineKafka {
        let admin = try KafkaAdmin(connection, observe: observe)
        let asker = try KafkaAdmin(connection, observe: observe)
        let producer = try RenewingProducer { () throws(KafkaError) in
            try KafkaProducer(connection, observe: observe)
        }
        let retention = ["retention.ms": String(eventsRetentionMilliseconds)]
        try await admin.createTopics(
            [topics.control, topics.events].map {
                TopicSpecification(
                    $0, partitions: topics.partitions, replication: topics.replication,
                    configuration: retention
                ).guarded
            })
        let control = try await partitionCount(of: topics.control, admin)
        let events = try await partitionCount(of: topics.events, admin)
        let broker = EngineBroker(
            createTopic: { name, partitions, configuration in
                try await admin.createTopics([
                    TopicSpecification(
                        name, partitions: Int(partitions), replication: topics.replication,
                        configuration: configuration
                    ).guarded
                ])
            },
            deleteTopics: { try await admin.deleteTopics($0) },
            topicNames: { Array(try await admin.partitionCounts().keys) },
            endOffset: { topic, partition in
                let ends = try await asker.endOffsets(
                    of: [TopicPartition(topic, partition)], timeout: endsTimeout)
                guard let end = ends.values.first else {
                    throw KafkaError(.other, operation: "read the end of \(topic)", detail: "it is missing")
                }
                return end
            },
            controlEnds: {
                let ends = try await ends(of: topics.control, Array(0..<control), asker)
                return (0..<control).map { ends[$0] ?? 0 }
            },
            send: { command in
                let key = Array(command.queueID.rawValue.utf8)
                _ = try await producer.send(
                    key: key, value: try MessageCodec.encode(command), to: topics.control)
            },
            controlTopic: topics.control, eventsTopic: topics.events, controlPartitions: control,
            eventsPartitions: events)
        return EngineKafka(broker: broker, admin: admin, asker: asker, producer: producer)
    }

    /// A source for ``EventReader``: offsets come from PostgreSQL; one that is gone restarts at the earliest,
    /// which is harmless because events are known by attempt and seq (design decision 5).
    package func eventSource(
        _ connection: KafkaConnection, _ observe: @escaping KafkaObserver
    ) throws(KafkaError) -> EventSource {
        var configuration = KafkaConsumerConfiguration()
        configuration.offsetReset = .earliest
        configuration.fetchWaitMax = .milliseconds(100)
        // Every step of a queue waits for it.
        configuration.idleRestMax = .milliseconds(3)
        configuration.statisticsInterval = KafkaTelemetry.statisticsInterval
        let consumer = try KafkaConsumer(connection, configuration, observe: observe)
        // Of its own, as the leases of event partitions wait for nobody else's questions.
        let asker = try KafkaAdmin(connection, observe: observe)
        return .kafka(consumer, asker, topic: broker.eventsTopic)
    }

    package func run() async throws {
        try? await gracefulShutdown()
        try await producer.close()
        await asker.close()
        await admin.close()
    }

    /// The offsets after the last records; all of them or an error.
    static func ends(
        of topic: String, _ partitions: [Int32], _ asker: KafkaAdmin
    ) async throws -> [Int32: Int64] {
        let ends = try await asker.endOffsets(
            of: partitions.map { TopicPartition(topic, $0) }, timeout: endsTimeout)
        guard ends.count == partitions.count else {
            throw KafkaError(.other, operation: "read the ends of \(topic)", detail: "some are missing")
        }
        return Dictionary(uniqueKeysWithValues: ends.map { ($0.key.partition, $0.value) })
    }

    /// A topic that was just created may take a moment to be known everywhere.
    private static func partitionCount(of topic: String, _ admin: KafkaAdmin) async throws -> Int32 {
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            if let count = try await admin.partitionCounts(of: [topic])[topic], count > 0 {
                return Int32(count)
            }
            guard ContinuousClock.now < deadline else {
                throw KafkaError(
                    .unknownTopic, operation: "find topic \(topic)", detail: "not there after 20 s")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
