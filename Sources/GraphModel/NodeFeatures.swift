import Glibc

/// The features of symbols at one candle, from that candle and those before it.
package struct NodeFeatures: Sendable {
    /// The names of those features that at least one symbol has.
    package let names: [String]
    /// A row a symbol, in the order of ``names``.
    package let rows: [[Double?]]
    package let leftOut: [String: String]
    package let missing: [String: Int]

    /// - Parameters:
    ///   - symbols: places in the frame.
    ///   - end: the place of the last candle that may be known.
    package init(_ frame: CandleFrame, symbols: [Int], end: Int, _ parameters: FeatureParameters) {
        let all = Feature.all(parameters)
        let columns = all.map { feature in
            symbols.map { feature.value(SymbolHistory(frame: frame, symbol: $0, end: end)) }
        }
        let present = all.indices.filter { index in columns[index].contains { $0 != nil } }
        names = present.map { all[$0].name }
        rows = symbols.indices.map { symbol in present.map { columns[$0][symbol] } }
        var leftOut: [String: String] = [:]
        var missing: [String: Int] = [:]
        for (index, feature) in all.enumerated() {
            let count = columns[index].count { $0 == nil }
            if count == symbols.count {
                leftOut[feature.name] = feature.reasonAbsent(frame, symbols)
            } else if count > 0 {
                missing[feature.name] = count
            }
        }
        self.leftOut = leftOut
        self.missing = missing
    }
}

/// One feature: docs/graph.md has the formulas.
private enum Feature {
    case logReturn(Int)
    case volatility(Int)
    case rsi(Int)
    case volumeRatio(Int)
    case takerImbalance(Int)
    case tradesPerMinute(Int)

    static func all(_ parameters: FeatureParameters) -> [Feature] {
        parameters.returnHorizons.map { .logReturn($0) } + [
            .volatility(parameters.volatility), .rsi(parameters.rsi), .volumeRatio(parameters.activity),
            .takerImbalance(parameters.activity), .tradesPerMinute(parameters.activity),
        ]
    }

    var name: String {
        switch self {
        case .logReturn(let count): "return_\(count)"
        case .volatility(let count): "volatility_\(count)"
        case .rsi(let count): "rsi_\(count)"
        case .volumeRatio(let count): "volume_ratio_\(count)"
        case .takerImbalance(let count): "taker_imbalance_\(count)"
        case .tradesPerMinute(let count): "trades_per_minute_\(count)"
        }
    }

    func value(_ history: SymbolHistory) -> Double? {
        switch self {
        case .logReturn(let count): history.logReturn(over: count)
        case .volatility(let count): history.volatility(count)
        case .rsi(let count): history.rsi(count)
        case .volumeRatio(let count): history.volumeRatio(count)
        case .takerImbalance(let count): history.takerImbalance(count)
        case .tradesPerMinute(let count): history.tradesPerMinute(count)
        }
    }

    func reasonAbsent(_ frame: CandleFrame, _ symbols: [Int]) -> String {
        let (column, what): (CandleColumn, String) =
            switch self {
            case .logReturn, .volatility, .rsi: (.close, "prices")
            case .volumeRatio: (.volume, "volumes")
            case .takerImbalance: (.takerBuyVolume, "taker volumes")
            case .tradesPerMinute: (.tradeCount, "counts of trades")
            }
        let hasAny = symbols.contains { frame.hasValues(column, of: $0) }
        return hasAny ? "no symbol has enough candles before it" : "the candles have no \(what)"
    }
}

/// One symbol up to one candle. Every function gives nil where a number that it needs is not there.
private struct SymbolHistory {
    let frame: CandleFrame
    let symbol: Int
    let end: Int

    /// `ln(close / close count candles before)`.
    func logReturn(over count: Int) -> Double? {
        guard let now = last(1, .close)?.first, end - count >= 0 else { return nil }
        let before = frame[.close, symbol, end - count]
        return before.isNaN ? nil : log(now / before)
    }

    /// The standard deviation of the last `count` returns, of a sample (n - 1).
    func volatility(_ count: Int) -> Double? {
        guard count >= 2, let closes = last(count + 1, .close) else { return nil }
        let returns = zip(closes, closes.dropFirst()).map { log($1 / $0) }
        let mean = returns.reduce(0, +) / Double(count)
        let squares = returns.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return (squares / Double(count - 1)).squareRoot()
    }

    /// Wilder's index with simple means of the last `count` rises and falls; 50 when the price did not move.
    func rsi(_ count: Int) -> Double? {
        guard count >= 1, let closes = last(count + 1, .close) else { return nil }
        let changes = zip(closes, closes.dropFirst()).map { $1 - $0 }
        let rise = changes.reduce(0) { $0 + max($1, 0) }
        let fall = changes.reduce(0) { $0 + max(-$1, 0) }
        return rise + fall == 0 ? 50 : 100 * rise / (rise + fall)
    }

    /// The last volume over the mean of the last `count`, that one included.
    func volumeRatio(_ count: Int) -> Double? {
        guard let volumes = last(count, .volume), let now = volumes.last else { return nil }
        let sum = volumes.reduce(0, +)
        return sum > 0 ? now * Double(count) / sum : nil
    }

    /// (bought - sold) / (bought + sold) by takers in the last `count` candles.
    func takerImbalance(_ count: Int) -> Double? {
        guard let volumes = last(count, .volume), let bought = last(count, .takerBuyVolume) else {
            return nil
        }
        let sum = volumes.reduce(0, +)
        return sum > 0 ? 2 * bought.reduce(0, +) / sum - 1 : nil
    }

    /// Trades a minute over the last `count` candles.
    func tradesPerMinute(_ count: Int) -> Double? {
        guard let trades = last(count, .tradeCount) else { return nil }
        return trades.reduce(0, +) * 60_000 / (Double(count) * Double(frame.grid.step))
    }

    private func last(_ count: Int, _ column: CandleColumn) -> [Double]? {
        let first = end - count + 1
        guard count >= 1, first >= 0, end < frame.grid.count else { return nil }
        let values = (first...end).map { frame[column, symbol, $0] }
        return values.contains { $0.isNaN } ? nil : values
    }
}
