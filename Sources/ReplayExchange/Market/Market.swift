import MarketData
import Synchronization

/// Everything the exchange can serve, fixed once loaded.
package struct Market: Sendable {
    let symbols: [String: SymbolMarket]
    /// Where the recordings are from, as the folder's `SOURCES.txt` says.
    let sources: String

    /// Names in rising order.
    var names: [String] { symbols.keys.sorted() }

    /// The end of the last recorded candle or trade, Unix milliseconds; nil without any.
    var endTime: Int64? { symbols.values.compactMap(\.endTime).max() }
}

/// The recordings of one symbol.
final class SymbolMarket: Sendable {
    enum Origin: Sendable, Equatable {
        case recorded
        case synthetic(seed: UInt64)
    }

    let symbol: Symbol
    let origin: Origin
    /// By interval, as recorded.
    let recorded: [KlineInterval: KlineSeries]
    /// Whether every recorded candle has trade count, quote and taker volumes.
    let hasAllColumns: Bool
    let tape: TradeTape?
    /// Decimal places that occur in prices and in quantities, at most 8.
    let pricePlaces: Int
    let quantityPlaces: Int
    /// Longer intervals at UTC, made when first asked for: at most one series an interval, each smaller
    /// than the recorded one it comes from.
    private let derived = Mutex<[KlineInterval: KlineSeries]>([:])

    init(
        symbol: Symbol, origin: Origin, recordings: [CandleFile.Candles], tape: TradeTape?
    ) {
        self.symbol = symbol
        self.origin = origin
        recorded = Dictionary(
            recordings.map { ($0.series.interval, $0.series) }, uniquingKeysWith: { first, _ in first })
        hasAllColumns = recordings.allSatisfy(\.hasAllColumns)
        self.tape = tape
        pricePlaces = recordings.map(\.pricePlaces).max() ?? DecimalAmount.places
        quantityPlaces = recordings.map(\.quantityPlaces).max() ?? DecimalAmount.places
    }

    /// The end of the last recorded candle, or just after the last trade, Unix milliseconds.
    var endTime: Int64? {
        let candleEnds = recorded.values.compactMap { series in
            series.openTimes.last.map { series.interval.openTime(after: $0) }
        }
        let tradeEnd = tape?.trades.last.map { $0.time + 1 }
        return (candleEnds + [tradeEnd].compactMap { $0 }).max()
    }

    /// The recorded series that candles of `interval` are taken or made from; nil when none fits.
    ///
    /// The longest that fits: fewest rows to add up.
    func base(for aggregation: KlineAggregation) -> KlineSeries? {
        if let series = recorded[aggregation.interval], isAligned(aggregation) { return series }
        return recorded.values
            .filter { aggregation.divides(into: $0.interval) }
            .max { ($0.interval.milliseconds ?? 0) < ($1.interval.milliseconds ?? 0) }
    }

    /// The candles of `interval` as of `now`: those opened by then, the last of them perhaps still open.
    ///
    /// - Returns: nil when `interval` is neither recorded nor can be made from what is.
    func series(_ aggregation: KlineAggregation, now: Int64) -> KlineSeries? {
        guard let base = base(for: aggregation) else { return nil }
        if base.interval == aggregation.interval { return base }
        let isWhole = base.openTimes.last.map { $0 <= now } ?? true
        guard aggregation.offset == 0, isWhole else {
            return aggregation.series(from: base, rows: base.rows(from: .min, through: now))
        }
        if let series = derived.withLock({ $0[aggregation.interval] }) { return series }
        // Made outside the lock: two first requests may both make it, with equal results.
        let series = aggregation.series(from: base, rows: 0..<base.count)
        derived.withLock { $0[aggregation.interval] = series }
        return series
    }

    /// A recorded series is at UTC; with an offset it still fits when whole buckets move onto buckets.
    private func isAligned(_ aggregation: KlineAggregation) -> Bool {
        guard aggregation.offset != 0 else { return true }
        guard let length = aggregation.interval.milliseconds else { return false }
        return length <= CivilDate.millisecondsPerDay && aggregation.offset % length == 0
    }
}
