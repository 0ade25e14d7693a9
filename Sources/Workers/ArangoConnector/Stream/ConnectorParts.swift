import KafkaBridge
import MarketData
import ServiceRuntime
import Workflow

/// What a connector reads and where it goes.
package struct ConnectorStream: Sendable {
    package var partition: TopicPartition
    package var attempt: Int
    package var collection: CollectionName
    package var symbol: Symbol
    /// nil for trades, which have none.
    package var interval: KlineInterval?
    /// The request's trace, for the headers of dead letters.
    package var traceparent: String?

    package init(
        partition: TopicPartition, attempt: Int, collection: CollectionName, symbol: Symbol,
        interval: KlineInterval?
    ) {
        self.partition = partition
        self.attempt = attempt
        self.collection = collection
        self.symbol = symbol
        self.interval = interval
    }

    var name: StreamName { StreamName(topic: partition.topic, partition: partition.partition) }
    var deadLetterTopic: String { DerivedName.deadLetterTopic(dataTopic: partition.topic) }
}

/// The clients a connector works with. They belong to the caller, who closes them.
package struct ConnectorParts: Sendable {
    /// Reads by assignment, with ``OffsetReset/fail``; its group only gets the positions, for the lag.
    package var consumer: KafkaConsumer
    /// Writes dead letters.
    package var producer: KafkaProducer
    package var store: any DocumentStore

    package init(
        consumer: KafkaConsumer, producer: KafkaProducer, store: any DocumentStore
    ) {
        self.consumer = consumer
        self.producer = producer
        self.store = store
    }

    /// How the consumer is to be made.
    ///
    /// - Parameter group: see ``DerivedName/group(_:_:)``.
    package static func consumerConfiguration(group: String) -> KafkaConsumerConfiguration {
        var configuration = KafkaConsumerConfiguration(group: group)
        configuration.isolation = .readCommitted
        configuration.offsetReset = .fail
        // A batch is read while another is written, which takes longer: more in memory would only wait there.
        configuration.prefetchBytesMax = 1 << 20
        configuration.fetchWaitMax = .milliseconds(100)
        configuration.statisticsInterval = KafkaTelemetry.statisticsInterval
        return configuration
    }
}

/// How the program around a connector steers and watches it.
package struct ConnectorHooks: Sendable {
    /// Asked between polls and while the store is waited for: true ends the attempt in good order.
    package var shouldStop: @Sendable () -> Bool
    /// False while no heartbeat gets through: nothing is written then.
    package var mayWrite: @Sendable () -> Bool
    /// Told after each batch: the counts of the instance, and for how long it has stood at the partition's end.
    package var report: @Sendable (InstanceCounts, _ waitsAtEnd: Duration) -> Void
    package var observe: @Sendable (ConnectorObservation) -> Void
    package var crashPoints: CrashPoints

    package init(
        shouldStop: @escaping @Sendable () -> Bool = { false },
        mayWrite: @escaping @Sendable () -> Bool = { true },
        report: @escaping @Sendable (InstanceCounts, _ waitsAtEnd: Duration) -> Void = { _, _ in },
        observe: @escaping @Sendable (ConnectorObservation) -> Void = { _ in },
        crashPoints: CrashPoints = .off
    ) {
        self.shouldStop = shouldStop
        self.mayWrite = mayWrite
        self.report = report
        self.observe = observe
        self.crashPoints = crashPoints
    }
}

/// How an attempt ended. Counts are those of the instance over all its attempts.
package enum ConnectorOutcome: Sendable, Equatable {
    /// Everything up to the end marker is stored, and the store has shown it.
    case finished(InstanceCounts, extra: [String: JSONValue])
    case interrupted(InstanceCounts)
    /// A higher attempt owns the stream; nothing was written since it does.
    case superseded
    case failed(InstanceCounts, ConnectorError)
}
