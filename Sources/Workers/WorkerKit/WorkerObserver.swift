import KafkaBridge
import Logging
import Metrics
import Workflow

/// What the frame of a worker tells about itself; logs and metrics are the one `switch` below.
enum WorkerObservation: Sendable {
    case commandsRead
    case commandSkipped(detail: String)
    case commandReceived(ControlCommand)
    case began
    case stopRequested(reason: String)
    case eventDelivered(QueueEvent, took: Duration)
    case eventFailed(QueueEvent.Status?, KafkaError)
    case progressed(InstanceCounts)
    case listenFailed(KafkaError)
    case ended(WorkerEnd)
    case endpointsFailed(String)
    case kafka(KafkaObservation)
}

/// The metrics of a worker's frame, made once a process.
struct WorkerMeters: Sendable {
    /// What one instance has done; of no meaning where many run.
    struct Records: Sendable {
        let read: Gauge
        let written: Gauge
        let duplicates: Gauge
        let deadLetters: Gauge

        init(_ metrics: any MetricsFactory) {
            read = Gauge(label: "worker_records_read", factory: metrics)
            written = Gauge(label: "worker_records_written", factory: metrics)
            duplicates = Gauge(label: "worker_duplicates", factory: metrics)
            deadLetters = Gauge(label: "worker_dead_letters", factory: metrics)
        }
    }

    let commands: Counter
    let skipped: Counter
    let failures: Counter
    let delivery: Metrics.Timer
    let records: Records?

    init(_ metrics: any MetricsFactory, ofOneInstance: Bool) {
        commands = Counter(label: "worker_commands_total", factory: metrics)
        skipped = Counter(label: "worker_commands_skipped_total", factory: metrics)
        failures = Counter(label: "worker_event_failures_total", factory: metrics)
        delivery = Metrics.Timer(label: "worker_event_delivery_seconds", factory: metrics)
        records = ofOneInstance ? Records(metrics) : nil
    }
}

struct WorkerObserver: Sendable {
    let logger: Logger

    private let meters: WorkerMeters
    private let kafka: KafkaTelemetry
    /// Of what happens to every attempt: a pool runs thousands.
    private let routine: Logger.Level

    init(logger: Logger, metrics: any MetricsFactory) {
        self.init(
            logger: logger, meters: WorkerMeters(metrics, ofOneInstance: true),
            kafka: KafkaTelemetry(logger: logger, metrics: metrics), routine: .info)
    }

    init(logger: Logger, meters: WorkerMeters, kafka: KafkaTelemetry, routine: Logger.Level) {
        self.logger = logger
        self.meters = meters
        self.kafka = kafka
        self.routine = routine
    }

    /// HELP texts of the metrics above.
    static let helps = [
        "worker_commands_total": "Commands for this attempt",
        "worker_commands_skipped_total": "Commands that could not be read",
        "worker_event_failures_total": "Events that could not be delivered in time",
        "worker_event_delivery_seconds": "From sending an event to the broker's acknowledgement",
        "worker_records_read": "Records the instance has read, over all its attempts",
        "worker_records_written": "Records the instance has written, over all its attempts",
        "worker_duplicates": "Records that were there already, over all its attempts",
        "worker_dead_letters": "Records the store refused, over all its attempts",
    ].merging(KafkaTelemetry.helps) { own, _ in own }

    func callAsFunction(_ observation: WorkerObservation) {
        switch observation {
        case .commandsRead: logger.debug("Read the commands up to the start")
        case .commandSkipped(let detail):
            meters.skipped.increment()
            logger.debug("Skipped a command", metadata: ["error": "\(detail)"])
        case .commandReceived(let command):
            meters.commands.increment()
            let fields: Logger.Metadata = [
                "command": "\(command.command.rawValue)", "command_id": "\(command.commandID)",
            ]
            logger.info("Received a command", metadata: fields)
        case .began: logger.log(level: routine, "Began the work")
        case .stopRequested(let reason):
            logger.info("Was asked to stop", metadata: ["reason": "\(reason)"])
        case .eventDelivered(let event, let took):
            meters.delivery.record(duration: took)
            let fields: Logger.Metadata = [
                "status": "\(event.status?.rawValue ?? event.event.rawValue)", "seq": "\(event.seq)",
            ]
            logger.debug("Delivered an event", metadata: fields)
        case .eventFailed(let status, let error):
            meters.failures.increment()
            let fields: Logger.Metadata = ["status": "\(status?.rawValue ?? "pong")", "error": "\(error)"]
            logger.warning("Could not deliver an event", metadata: fields)
        case .progressed(let counts):
            guard let records = meters.records else { return }
            records.read.record(counts.recordsRead)
            records.written.record(counts.recordsWritten)
            records.duplicates.record(counts.duplicates)
            records.deadLetters.record(counts.deadLetters)
        case .listenFailed(let error):
            logger.warning("Could not read commands", metadata: ["error": "\(error)"])
        case .ended(let end): ended(end)
        case .endpointsFailed(let detail):
            logger.error("Could not serve health and metrics", metadata: ["error": "\(detail)"])
        case .kafka(let observation): kafka(observation)
        }
    }

    private func ended(_ end: WorkerEnd) {
        var fields: Logger.Metadata = [
            "status": "\(end.report?.status.rawValue ?? "superseded")",
            "exit_code": "\(end.exitCode.rawValue)",
        ]
        if let error = end.report?.error { fields["error"] = "\(error)" }
        logger.log(level: end.exitCode == .finished ? routine : .notice, "Ended", metadata: fields)
    }
}
