import KafkaBridge
import Logging
import Metrics
import Workflow

/// What a pool tells about itself; logs and metrics are the one `switch` below.
enum PoolObservation: Sendable {
    case waitedForTopic(String)
    case joined(topic: String, partitions: Int)
    case taken(Int, slotsUsed: Int)
    /// Given up before they began, without an event.
    case dropped(Int, Drop)
    case unreadable(TopicPartition, offset: Int64, detail: String)
    case ended(WorkerEnd, took: Duration)
    case paused(topic: String)
    case resumed(topic: String)
    case takeFailed(topic: String, KafkaError)
    case fenced(topic: String)
    case controlFailed(KafkaError)
    case commandSkipped(detail: String)
    case gapRead(TopicPartition, offsets: Int64, stops: Int)
    case stopping(running: Int)
    case kafka(KafkaObservation)

    enum Drop: String, Sendable, CaseIterable {
        /// A stop was there before it began.
        case superseded
        /// Its partition went to another worker before it was taken.
        case rebalanced
        case unreadable
    }
}

struct PoolObserver: Sendable {
    /// For each instance, with its own fields added.
    let logger: Logger
    let meters: WorkerMeters
    let kafka: KafkaTelemetry

    private let slots: Gauge
    private let takenOffers: Counter
    private let gaps: Counter
    private let drops: [PoolObservation.Drop: Counter]
    private let ends: [String: Counter]
    private let run: Metrics.Timer

    private static let superseded = "superseded"

    init(logger: Logger, metrics: any MetricsFactory, slotsMax: Int) {
        self.logger = logger
        meters = WorkerMeters(metrics, ofOneInstance: false)
        kafka = KafkaTelemetry(logger: logger, metrics: metrics)
        Gauge(label: "pool_slots", factory: metrics).record(slotsMax)
        slots = Gauge(label: "pool_slots_used", factory: metrics)
        slots.record(0)
        takenOffers = Counter(label: "pool_offers_taken_total", factory: metrics)
        gaps = Counter(label: "pool_control_gaps_total", factory: metrics)
        run = Metrics.Timer(label: "pool_instance_seconds", factory: metrics)
        drops = Dictionary(
            uniqueKeysWithValues: PoolObservation.Drop.allCases.map {
                let dimensions = [("reason", $0.rawValue)]
                return (
                    $0, Counter(label: "pool_offers_dropped_total", dimensions: dimensions, factory: metrics)
                )
            })
        let outcomes = ["finished", "interrupted", "error", Self.superseded]
        ends = Dictionary(
            uniqueKeysWithValues: outcomes.map {
                let dimensions = [("outcome", $0)]
                return (
                    $0, Counter(label: "pool_instances_ended_total", dimensions: dimensions, factory: metrics)
                )
            })
    }

    /// HELP texts of the metrics above.
    static let helps = [
        "pool_slots": "Instances that may run at the same time",
        "pool_slots_used": "Instances that run or are about to",
        "pool_offers_taken_total": "Offers this worker took",
        "pool_offers_dropped_total": "Offers given up before they began",
        "pool_instances_ended_total": "Instances that ended, by how",
        "pool_instance_seconds": "From taking an offer to its delivered final event",
        "pool_control_gaps_total": "Times commands from before this worker's start had to be read",
    ].merging(WorkerObserver.helps) { own, _ in own }

    func callAsFunction(_ observation: PoolObservation) {
        switch observation {
        case .waitedForTopic(let topic):
            logger.notice("Waited for a topic that is not there yet", metadata: ["topic": "\(topic)"])
        case .joined(let topic, let partitions):
            let fields: Logger.Metadata = ["topic": "\(topic)", "partitions": "\(partitions)"]
            logger.info("Got partitions of offers", metadata: fields)
        case .taken(let count, let used):
            takenOffers.increment(by: count)
            slots.record(used)
        case .dropped(let count, let reason): drops[reason]?.increment(by: count)
        case .unreadable(let partition, let offset, let detail):
            drops[.unreadable]?.increment()
            let fields: Logger.Metadata = [
                "topic": "\(partition.topic)", "partition": "\(partition.partition)", "offset": "\(offset)",
                "error": "\(detail)",
            ]
            logger.error("Dropped an offer that cannot be read", metadata: fields)
        case .ended(let end, let took):
            run.record(duration: took)
            ends[end.report?.status.rawValue ?? Self.superseded]?.increment()
        case .paused(let topic):
            logger.debug("Paused reading offers: no slot is free", metadata: ["topic": "\(topic)"])
        case .resumed(let topic): logger.debug("Resumed reading offers", metadata: ["topic": "\(topic)"])
        case .takeFailed(let topic, let error):
            logger.warning("Could not take offers", metadata: ["topic": "\(topic)", "error": "\(error)"])
        case .fenced(let topic):
            logger.error("Another worker has this POOL_WORKER_ID", metadata: ["topic": "\(topic)"])
        case .controlFailed(let error):
            logger.warning("Could not read commands", metadata: ["error": "\(error)"])
        case .commandSkipped(let detail):
            meters.skipped.increment()
            logger.debug("Skipped a command", metadata: ["error": "\(detail)"])
        case .gapRead(let partition, let offsets, let stops):
            gaps.increment()
            let fields: Logger.Metadata = [
                "partition": "\(partition.partition)", "offsets": "\(offsets)", "stops": "\(stops)",
            ]
            logger.debug("Read commands from before the start", metadata: fields)
        case .stopping(let running):
            logger.info("Was asked to stop", metadata: ["running": "\(running)"])
        case .kafka(let observation): kafka(observation)
        }
    }

    func slotsUsed(_ count: Int) { slots.record(count) }

    /// An observer for the frame of one instance.
    func ofInstance(_ logger: Logger) -> WorkerObserver {
        WorkerObserver(logger: logger, meters: meters, kafka: kafka, routine: .debug)
    }
}
