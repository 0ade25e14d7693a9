/// How a consumer reads.
package struct KafkaConsumerConfiguration: Sendable {
    /// The group whose positions are committed and read; needed to ``KafkaConsumer/subscribe(to:)``.
    ///
    /// Reading by assignment with a group only commits to it; without one nothing can be committed.
    package var group: String?
    /// A stable name of this member: it keeps its partitions over a restart shorter than `sessionTimeout`.
    package var groupInstanceID: String?
    package var strategy = AssignmentStrategy.range
    package var isolation = KafkaIsolation.readCommitted
    package var offsetReset = OffsetReset.earliest
    /// Bytes fetched ahead of the polls. One answer of the broker may go beyond it.
    package var prefetchBytesMax = 16 << 20
    /// Bytes of one partition in one answer; a larger record still comes.
    package var fetchPartitionBytesMax = 1 << 20
    /// How long the broker holds back an answer when there is nothing to read; an end is told after this
    /// wait.
    package var fetchWaitMax: Duration = .milliseconds(100)
    /// How long reading stands still at the most on a broker that does not hold back (noida-db): a record
    /// that comes meanwhile is late by so much. Kafka holds back, so nothing rests there.
    package var idleRestMax: Duration = .milliseconds(10)
    /// A group member that is silent this long loses its partitions.
    package var sessionTimeout: Duration = .seconds(45)
    /// A group member that does not poll this long loses its partitions.
    package var pollIntervalMax: Duration = .seconds(300)
    /// How often ``KafkaObservation/statistics(_:)`` is given; zero is never. They are given by polls.
    package var statisticsInterval: Duration = .zero

    /// Records fetched ahead of the polls, of any size.
    static let prefetchRecordsMax = 100_000

    package enum AssignmentStrategy: String, Sendable {
        case range
        case roundRobin = "roundrobin"
        /// Moves as few partitions as it can and keeps reading the others meanwhile.
        case cooperativeSticky = "cooperative-sticky"
    }

    package init(group: String? = nil) {
        self.group = group
    }

    var brake: IdleBrake { IdleBrake(fetchWaitMax: fetchWaitMax, restMax: idleRestMax) }

    func settings(_ connection: KafkaConnection) -> ClientSettings {
        var settings = ClientSettings(connection)
        // librdkafka's assignment works only with some group name; without ours nothing is committed to it.
        settings.set("group.id", group ?? "sf-reader")
        if let groupInstanceID { settings.set("group.instance.id", groupInstanceID) }
        settings.set("partition.assignment.strategy", strategy.rawValue)
        settings.set("isolation.level", isolation.rawValue)
        settings.set("auto.offset.reset", offsetReset.rawValue)
        settings.set("enable.auto.commit", "false")
        settings.set("enable.auto.offset.store", "false")
        settings.set("enable.partition.eof", "true")
        settings.set("queued.max.messages.kbytes", String(max(1, prefetchBytesMax / 1024)))
        settings.set("queued.min.messages", String(Self.prefetchRecordsMax))
        settings.set("max.partition.fetch.bytes", String(fetchPartitionBytesMax))
        settings.set("fetch.max.bytes", String(max(prefetchBytesMax, fetchPartitionBytesMax)))
        // Some brokers answer with more than `fetch.max.bytes`; refusing that would stop reading for good.
        settings.set("receive.message.max.bytes", "1000000000")
        settings.set("fetch.wait.max.ms", milliseconds: fetchWaitMax)
        settings.set("fetch.error.backoff.ms", "50")
        settings.set("session.timeout.ms", milliseconds: sessionTimeout)
        settings.set("heartbeat.interval.ms", milliseconds: min(sessionTimeout / 4, .seconds(3)))
        settings.set("max.poll.interval.ms", milliseconds: max(pollIntervalMax, sessionTimeout))
        settings.set("statistics.interval.ms", milliseconds: statisticsInterval)
        return settings
    }
}
