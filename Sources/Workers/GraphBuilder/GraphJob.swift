import GraphModel
import MarketData
import Workflow

/// What one attempt builds, read from its settings.
package struct GraphJob: Sendable {
    /// Where the records of a symbol are.
    package struct Input: Sendable, Hashable {
        package var symbol: Symbol
        package var candles: CollectionName
        /// nil: none.
        package var trades: CollectionName?

        package init(symbol: Symbol, candles: CollectionName, trades: CollectionName? = nil) {
            self.symbol = symbol
            self.candles = candles
            self.trades = trades
        }
    }

    package var graph: GraphName
    package var inputs: [Input]
    package var interval: KlineInterval
    package var tradeKind: TradeKind
    package var grid: TimeGrid
    package var parameters: GraphParameters
    /// Bytes that the numbers may take.
    package var memoryMax: Int
    package var limits = GraphLimits()

    package init(
        graph: GraphName, inputs: [Input], interval: KlineInterval, grid: TimeGrid,
        parameters: GraphParameters, tradeKind: TradeKind = .aggregate, memoryMax: Int = 4 << 30
    ) {
        self.graph = graph
        self.inputs = inputs
        self.interval = interval
        self.grid = grid
        self.parameters = parameters
        self.tradeKind = tradeKind
        self.memoryMax = memoryMax
    }

    /// The open times of the candles of a range that were closed by `asOf`; nil for an interval without a fixed
    /// length.
    package static func grid(_ range: DayRange, _ interval: KlineInterval, asOf: Int64) -> TimeGrid? {
        guard let step = interval.milliseconds else { return nil }
        let start = range.startMilliseconds
        let end = min(range.endMilliseconds, asOf - step + 1)
        let open = interval.openTime(containing: start)
        let first = open < start ? interval.openTime(after: open) : open
        return TimeGrid(
            first: first, step: step, count: Int(max(interval.candleCount(from: start, to: end), 0)))
    }

    /// What the numbers of the whole work take: the frame, its returns, and a window's copies.
    package var memoryNeeded: Int {
        let window = min(parameters.window ?? grid.count, grid.count)
        let number = MemoryLayout<Double>.size
        return CandleFrame.bytes(symbols: inputs.count, times: grid.count)
            + inputs.count * (grid.count + 4 * window + 4 * inputs.count) * number
    }
}

/// Bounds of one build.
package struct GraphLimits: Sendable, Hashable {
    package var pageDocumentsMax = 5_000
    package var batchDocumentsMax = 5_000
    package var snapshotsMax = 10_000

    package init() {}
}

/// What a build asks of the worker around it.
package struct GraphHooks: Sendable {
    package var shouldStop: @Sendable () -> Bool
    /// Returns when it may write; false: it is to stop.
    package var waitToWrite: @Sendable () async throws -> Bool
    package var report: @Sendable (InstanceCounts, _ message: String) -> Void
    package var beforeWrite: @Sendable () -> Void
    package var afterWrite: @Sendable () -> Void
    /// Unix seconds.
    package var now: @Sendable () -> Double

    package init(
        shouldStop: @escaping @Sendable () -> Bool = { false },
        waitToWrite: @escaping @Sendable () async throws -> Bool = { true },
        report: @escaping @Sendable (InstanceCounts, String) -> Void = { _, _ in },
        beforeWrite: @escaping @Sendable () -> Void = {}, afterWrite: @escaping @Sendable () -> Void = {},
        now: @escaping @Sendable () -> Double
    ) {
        self.shouldStop = shouldStop
        self.waitToWrite = waitToWrite
        self.report = report
        self.beforeWrite = beforeWrite
        self.afterWrite = afterWrite
        self.now = now
    }
}
