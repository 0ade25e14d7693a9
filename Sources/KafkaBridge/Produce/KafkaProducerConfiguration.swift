/// How a producer sends. The defaults fit both bulk loading and single events.
package struct KafkaProducerConfiguration: Sendable {
    /// Non-nil makes the producer transactional and fences every older producer of the same id.
    package var transactionalID: String?
    /// After this long without a decision the broker aborts a transaction.
    package var transactionTimeout: Duration = .seconds(60)
    /// A record that is not acknowledged after this long fails with `timedOut`.
    package var deliveryTimeout: Duration = .seconds(120)
    /// How long a record may wait for others to share its request.
    package var linger: Duration = .milliseconds(5)
    /// Records and bytes that wait in librdkafka; a sender waits when they are reached.
    package var queuedRecordsMax = 100_000
    package var queuedBytesMax = 64 << 20
    package var compression = Compression.none
    /// How often ``KafkaObservation/statistics(_:)`` is given; zero is never.
    package var statisticsInterval: Duration = .zero

    package enum Compression: String, Sendable { case none, lz4, zstd, gzip, snappy }

    package init(transactionalID: String? = nil) {
        self.transactionalID = transactionalID
    }

    func settings(_ connection: KafkaConnection) -> ClientSettings {
        var settings = ClientSettings(connection)
        settings.set("enable.idempotence", "true")
        // Java's producer hashes keys like this; both sides of a topic must agree where a key lives.
        settings.set("partitioner", "murmur2_random")
        settings.set("linger.ms", milliseconds: linger)
        settings.set("queue.buffering.max.messages", String(queuedRecordsMax))
        settings.set("queue.buffering.max.kbytes", String(max(1, queuedBytesMax / 1024)))
        settings.set("batch.size", "1000000")
        settings.set("compression.type", compression.rawValue)
        settings.set("statistics.interval.ms", milliseconds: statisticsInterval)
        if let transactionalID {
            settings.set("transactional.id", transactionalID)
            settings.set("transaction.timeout.ms", milliseconds: transactionTimeout)
            // librdkafka refuses a delivery time-out beyond the transaction's.
            settings.set("message.timeout.ms", milliseconds: min(deliveryTimeout, transactionTimeout))
        } else {
            settings.set("message.timeout.ms", milliseconds: deliveryTimeout)
        }
        return settings
    }
}
