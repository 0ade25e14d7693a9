import KafkaBridge
import Logging
import Metrics
import Workflow

/// What a connector of shared topics tells about itself; logs and metrics are the one `switch` below.
enum SharedObservation: Sendable {
    case connector(ConnectorObservation)
    case waitedForTopic(String)
    case partitionsChanged(held: Int)
    case holding(streams: Int, bytes: Int)
    /// Read, and its attempt is over.
    case skipped(records: Int)
    case unreadable(TopicPartition, offset: Int64, reason: String)
    case streamClosed(QueueEvent.Status)
    /// Another connector has stored the same; it was looked up how far it is.
    case conflict
    case sendFailed(KafkaError)
    case commitFailed(KafkaError)
    case readFailed(KafkaError)
    case controlFailed(KafkaError)
    case controlRead(stops: Int)
    case held(isHeld: Bool)
    case drained(isWhole: Bool)
    case kafka(KafkaObservation)
}

struct SharedObserver: Sendable {
    private let logger: Logger
    private let connector: ConnectorObserver
    private let kafka: KafkaTelemetry
    private let partitions: Gauge
    private let streams: Gauge
    private let bytes: Gauge
    private let skipped: Counter
    private let unreadable: Counter
    private let conflicts: Counter
    private let sendFailures: Counter
    private let finished: Counter
    private let failed: Counter

    init(logger: Logger, metrics: any MetricsFactory) {
        self.logger = logger
        connector = ConnectorObserver(logger: logger, metrics: metrics)
        kafka = KafkaTelemetry(logger: logger, metrics: metrics)
        partitions = Gauge(label: "connector_partitions", factory: metrics)
        streams = Gauge(label: "connector_streams", factory: metrics)
        bytes = Gauge(label: "connector_buffered_bytes", factory: metrics)
        skipped = Counter(label: "connector_records_skipped_total", factory: metrics)
        unreadable = Counter(label: "connector_records_unreadable_total", factory: metrics)
        conflicts = Counter(label: "connector_conflicts_total", factory: metrics)
        sendFailures = Counter(label: "connector_send_failures_total", factory: metrics)
        finished = Counter(label: "connector_streams_finished_total", factory: metrics)
        failed = Counter(label: "connector_streams_failed_total", factory: metrics)
        partitions.record(0)
    }

    /// HELP texts of the metrics above.
    static let helps = [
        "connector_partitions": "Partitions of shared topics that this connector reads",
        "connector_streams": "Streams of which it knows how far they are",
        "connector_buffered_bytes": "Bytes that were read and are not stored",
        "connector_records_skipped_total": "Records of attempts that are over",
        "connector_records_unreadable_total": "Records of which nobody can tell whose they are",
        "connector_conflicts_total": "Batches that another connector had stored already",
        "connector_send_failures_total": "Events and dead letters that could not be delivered at once",
        "connector_streams_finished_total": "Streams that were confirmed to their end marker",
        "connector_streams_failed_total": "Streams that cannot be stored",
    ].merging(KafkaTelemetry.helps) { own, _ in own }

    func callAsFunction(_ observation: SharedObservation) {
        switch observation {
        case .connector(let observation): connector(observation)
        case .waitedForTopic(let topic): logger.info("Waits for a topic", metadata: ["topic": "\(topic)"])
        case .partitionsChanged(let held):
            partitions.record(held)
            logger.info("Partitions changed", metadata: ["partitions": "\(held)"])
        case .holding(let count, let size):
            streams.record(count)
            bytes.record(size)
        case .skipped(let count): skipped.increment(by: count)
        case .unreadable(let partition, let offset, let reason):
            unreadable.increment()
            let fields: Logger.Metadata = [
                "partition": "\(partition)", "offset": "\(offset)", "error": "\(reason)",
            ]
            logger.warning("Skipped a record that is nobody's", metadata: fields)
        case .streamClosed(let status):
            (status == .finished ? finished : failed).increment()
            logger.debug("Said the last word of a stream", metadata: ["status": "\(status.rawValue)"])
        case .conflict:
            conflicts.increment()
            logger.info("Another connector stores the same")
        case .held(let isHeld):
            logger.info(isHeld ? "Paused reading" : "Resumed reading")
        case .controlRead(let stops):
            logger.debug("Read the commands up to the start", metadata: ["count": "\(stops)"])
        case .drained(let isWhole):
            logger.info(isWhole ? "Stored what was in hand" : "Left what was in hand to others")
        case .sendFailed(let error):
            sendFailures.increment()
            warn("Could not deliver an event or dead letters", error)
        case .commitFailed(let error): warn("Could not commit positions", error)
        case .readFailed(let error): warn("Could not read shared topics", error)
        case .controlFailed(let error): warn("Could not read commands", error)
        case .kafka(let observation): kafka(observation)
        }
    }

    private func warn(_ message: Logger.Message, _ error: KafkaError) {
        logger.warning(message, metadata: ["error": "\(error)"])
    }
}
