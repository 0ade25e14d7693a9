package import Logging
package import Metrics

/// Turns what Kafka clients tell about themselves into log lines and metrics.
///
/// Metrics carry the label `client`, `producer` or `consumer`; of several clients of one kind in a program, those
/// with a ``KafkaProducerConfiguration/statisticsInterval`` are shown.
package struct KafkaTelemetry: Sendable {
    /// How often a client that is worth watching tells its statistics.
    package static let statisticsInterval = Duration.seconds(5)

    private let logger: Logger
    private let factory: any MetricsFactory
    private let errors: Counter

    package init(logger: Logger, metrics factory: any MetricsFactory) {
        self.logger = logger
        self.factory = factory
        errors = Counter(label: "kafka_client_errors_total", factory: factory)
    }

    /// HELP texts of the metrics.
    package static let helps = [
        "kafka_client_errors_total": "Errors of Kafka clients",
        "kafka_client_queued_records": "Records handed over and not acknowledged yet",
        "kafka_client_queued_bytes": "Bytes handed over and not acknowledged yet",
        "kafka_client_round_trip_seconds": "Mean round trip to the slowest broker in the last interval",
        "kafka_client_lag_records": "Records between the position and the end, over all partitions read",
    ]

    package func callAsFunction(_ observation: KafkaObservation) {
        switch observation {
        case .log(let level, let facility, let message):
            let fields: Logger.Metadata = ["facility": "\(facility)", "detail": "\(message)"]
            logger.log(level: Self.level(level), "Kafka client said", metadata: fields)
        case .clientFailed(let error):
            errors.increment()
            logger.warning("Kafka client failed", metadata: ["error": "\(error)"])
        case .deliveryFailed(let error, let topic, let records):
            errors.increment()
            let fields: Logger.Metadata = [
                "error": "\(error)", "topic": "\(topic)", "records": "\(records)",
            ]
            logger.warning("Could not store records", metadata: fields)
        case .statistics(let statistics): record(statistics)
        case .rebalanced: break
        }
    }

    private func record(_ statistics: KafkaStatistics) {
        let client = statistics.isConsumer ? "consumer" : "producer"
        gauge("round_trip_seconds", client).record(statistics.roundTrip / .seconds(1))
        if statistics.isConsumer {
            gauge("lag_records", client).record(statistics.lag.values.reduce(0, +))
        } else {
            gauge("queued_records", client).record(statistics.queuedRecords)
            gauge("queued_bytes", client).record(statistics.queuedBytes)
        }
    }

    private func gauge(_ name: String, _ client: String) -> Gauge {
        Gauge(label: "kafka_client_\(name)", dimensions: [("client", client)], factory: factory)
    }

    /// One step lower than librdkafka's own: it logs what it then recovers from as errors.
    private static func level(_ level: KafkaObservation.LogLevel) -> Logger.Level {
        switch level {
        case .emergency, .alert, .critical: .error
        case .error: .warning
        case .warning: .notice
        case .notice, .info, .debug: .debug
        }
    }
}
