import BinanceFeed
import ExchangeBudget
import Logging
import Metrics
import WorkerKit

/// Turns what the feed tells into log lines and metrics.
struct LoaderObserver: Sendable {
    private let logger: Logger
    private let records: Counter
    private let noun: RecordNoun
    private let requests: Metrics.Timer
    private let retries: Counter
    private let limited: Counter
    private let holes: Counter
    private let fileBytes: Counter
    private let filesPassedOver: Counter
    private let waits: Metrics.Timer
    private let asks: Metrics.Timer
    private let askFailures: Counter
    private let granted: Counter

    init(_ context: WorkerContext, noun: RecordNoun) {
        let metrics = context.metrics
        logger = context.logger
        self.noun = noun
        records = Counter(label: "exchange_\(noun)_read_total", factory: metrics)
        requests = Timer(label: "exchange_request_duration_seconds", factory: metrics)
        retries = Counter(label: "exchange_retries_total", factory: metrics)
        limited = Counter(label: "exchange_limited_total", factory: metrics)
        holes = Counter(label: "exchange_\(noun)_missing_total", factory: metrics)
        fileBytes = Counter(label: "exchange_archive_bytes_total", factory: metrics)
        filesPassedOver = Counter(label: "exchange_archive_passed_over_total", factory: metrics)
        waits = Timer(label: "exchange_budget_wait_seconds", factory: metrics)
        asks = Timer(label: "exchange_budget_ask_duration_seconds", factory: metrics)
        askFailures = Counter(label: "exchange_budget_ask_failures_total", factory: metrics)
        granted = Counter(label: "exchange_budget_granted_weight_total", factory: metrics)
    }

    func callAsFunction(_ observation: FeedObservation) {
        switch observation {
        case .pageRead(let rowCount, let duration, _):
            records.increment(by: rowCount)
            requests.recordNanoseconds(duration.wholeMilliseconds * 1_000_000)
        case .archiveRead(let rowCount): records.increment(by: rowCount)
        case .fileRead(let byteCount, let duration):
            fileBytes.increment(by: byteCount)
            logger.debug(
                "Read a file of the exchange",
                metadata: ["bytes": "\(byteCount)", "duration_ms": "\(duration.wholeMilliseconds)"])
        case .filePassedOver(let path, let reason):
            filesPassedOver.increment()
            logger.warning(
                "Passed over a file of the exchange", metadata: ["file": "\(path)", "error": "\(reason)"])
        case .retried(let attempt, let reason, let wait):
            retries.increment()
            logger.warning(
                "Asked the exchange again",
                metadata: ["try": "\(attempt)", "error": "\(reason)", "wait_ms": "\(wait.wholeMilliseconds)"])
        case .limited(let status, let wait):
            limited.increment()
            logger.warning(
                "Kept away from the exchange",
                metadata: ["status": "\(status)", "wait_ms": "\(wait.wholeMilliseconds)"])
        case .waiting(let wait):
            logger.debug(
                "Waited for request weight",
                metadata: ["reason": "\(wait.reason)", "wait_ms": "\(wait.duration.wholeMilliseconds)"])
        case .heldBack(let wait):
            waits.recordNanoseconds(wait.wholeMilliseconds * 1_000_000)
            logger.debug("Held back a request", metadata: ["wait_ms": "\(wait.wholeMilliseconds)"])
        case .holeFound(let hole):
            holes.increment(by: Int(hole.recordCount))
            logger.info(
                "Found a hole",
                metadata: ["from": "\(hole.from)", "to": "\(hole.to)", "\(noun)": "\(hole.recordCount)"])
        }
    }

    func callAsFunction(_ observation: LeasedBudget.Observation) {
        switch observation {
        case .asked(let duration, let weight):
            asks.recordNanoseconds(duration.wholeMilliseconds * 1_000_000)
            granted.increment(by: weight)
        case .failed(let error):
            askFailures.increment()
            logger.warning("Failed to reach the exchange's budget", metadata: ["error": "\(error)"])
        case .closed: logger.debug("Gave back exchange weight")
        }
    }

    /// The limit counts for this process alone.
    func countedAlone(_ reason: String) {
        logger.warning("Counted the exchange's limit per process", metadata: ["reason": "\(reason)"])
    }
}

extension Duration {
    fileprivate var wholeMilliseconds: Int64 {
        components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
    }
}
