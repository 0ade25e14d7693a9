import BinanceFeed
import Logging
import Metrics
import WorkerKit

/// Turns what the feed tells into log lines and metrics.
struct LoaderObserver: Sendable {
    private let logger: Logger
    private let candles: Counter
    private let requests: Metrics.Timer
    private let retries: Counter
    private let limited: Counter
    private let holes: Counter

    init(_ context: WorkerContext) {
        self.init(logger: context.logger, metrics: context.metrics)
    }

    init(logger: Logger, metrics: any MetricsFactory) {
        self.logger = logger
        candles = Counter(label: "exchange_candles_read_total", factory: metrics)
        requests = Timer(label: "exchange_request_duration_seconds", factory: metrics)
        retries = Counter(label: "exchange_retries_total", factory: metrics)
        limited = Counter(label: "exchange_limited_total", factory: metrics)
        holes = Counter(label: "exchange_candles_missing_total", factory: metrics)
    }

    func callAsFunction(_ observation: FeedObservation) {
        switch observation {
        case .pageRead(let rowCount, let duration, _):
            candles.increment(by: rowCount)
            requests.recordNanoseconds(duration.wholeMilliseconds * 1_000_000)
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
        case .heldBack(let wait):
            logger.debug("Waited for request weight", metadata: ["wait_ms": "\(wait.wholeMilliseconds)"])
        case .holeFound(let hole):
            holes.increment(by: Int(hole.candleCount))
            logger.info(
                "Found a hole",
                metadata: ["from": "\(hole.from)", "to": "\(hole.to)", "candles": "\(hole.candleCount)"])
        }
    }
}

extension Duration {
    fileprivate var wholeMilliseconds: Int64 {
        components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
    }
}
