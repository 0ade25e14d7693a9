/// What a graph needs of a candle.
package enum CandleColumn: Int, Sendable, Hashable, CaseIterable {
    case close, volume, takerBuyVolume, tradeCount
}

/// The candles of many symbols on one grid of times: a column holds all times of the first symbol, then those
/// of the second, and so on. What is not there is NaN.
package struct CandleFrame: Sendable {
    package let symbols: [String]
    package let grid: TimeGrid
    private var columns: [[Double]]

    package init(symbols: [String], grid: TimeGrid) {
        self.symbols = symbols
        self.grid = grid
        let empty = [Double](repeating: .nan, count: symbols.count * grid.count)
        columns = CandleColumn.allCases.map { _ in empty }
    }

    /// Memory of a frame's numbers.
    package static func bytes(symbols: Int, times: Int) -> Int {
        symbols * times * CandleColumn.allCases.count * MemoryLayout<Double>.size
    }

    package subscript(column: CandleColumn, symbol: Int, time: Int) -> Double {
        get { columns[column.rawValue][symbol * grid.count + time] }
        set { columns[column.rawValue][symbol * grid.count + time] = newValue }
    }

    package func values(_ column: CandleColumn, of symbol: Int) -> ArraySlice<Double> {
        columns[column.rawValue][symbol * grid.count..<(symbol + 1) * grid.count]
    }

    package func values(_ column: CandleColumn) -> [Double] { columns[column.rawValue] }

    /// Puts a candle in its place.
    ///
    /// The exchange's candle with volume has trades: one with volume and none comes from a source without
    /// those columns, and they count as missing. A price that is not above zero counts as no candle.
    ///
    /// - Returns: false when the grid has no such time.
    @discardableResult
    package mutating func set(_ candle: CandleValues, symbol: Int) -> Bool {
        guard let time = grid.index(of: candle.openTime) else { return false }
        guard candle.close > 0, candle.close.isFinite else { return true }
        self[.close, symbol, time] = candle.close
        self[.volume, symbol, time] = candle.volume
        guard candle.tradeCount > 0 || candle.volume == 0 else { return true }
        self[.takerBuyVolume, symbol, time] = candle.takerBuyVolume
        self[.tradeCount, symbol, time] = candle.tradeCount
        return true
    }

    /// Adds a trade to the candle it belongs to, where candles lack trades and taker volumes.
    ///
    /// Times without a trade stay as they are: call ``fillTimesWithoutTrades(symbol:from:to:)`` when all are in.
    ///
    /// - Parameters:
    ///   - fills: trades it stands for: 1, or those of an aggregate.
    ///   - isTakerBuy: whether the taker bought, i.e. the buyer was not the maker.
    package mutating func add(
        tradeAt time: Int64, quantity: Double, fills: Double, isTakerBuy: Bool, symbol: Int
    ) {
        guard let time = grid.index(containing: time) else { return }
        let taken = isTakerBuy ? quantity : 0
        self[.takerBuyVolume, symbol, time] = self[.takerBuyVolume, symbol, time].orZero + taken
        self[.tradeCount, symbol, time] = self[.tradeCount, symbol, time].orZero + fills
    }

    /// Says that a symbol was not traded at the times from `first` to `last` for which there is no trade.
    package mutating func fillTimesWithoutTrades(symbol: Int, from first: Int, to last: Int) {
        for time in max(first, 0)...max(min(last, grid.count - 1), max(first, 0)) where time < grid.count {
            for column in [CandleColumn.takerBuyVolume, .tradeCount] {
                self[column, symbol, time] = self[column, symbol, time].orZero
            }
        }
    }

    /// Whether there are candles of the symbol with volume, but without trades.
    package func lacksActivity(of symbol: Int) -> Bool {
        zip(values(.volume, of: symbol), values(.tradeCount, of: symbol)).contains { $0 > 0 && $1.isNaN }
    }

    /// Forgets counts of trades and taker volumes of a symbol, so that trades can tell them.
    package mutating func clearActivity(of symbol: Int) {
        for column in [CandleColumn.takerBuyVolume, .tradeCount] {
            for time in 0..<grid.count { self[column, symbol, time] = .nan }
        }
    }

    /// Whether a symbol has any value in a column.
    package func hasValues(_ column: CandleColumn, of symbol: Int) -> Bool {
        values(column, of: symbol).contains { !$0.isNaN }
    }
}

/// The numbers of one candle.
package struct CandleValues: Sendable, Hashable {
    /// Unix milliseconds.
    package var openTime: Int64
    package var close: Double
    package var volume: Double
    package var takerBuyVolume: Double
    package var tradeCount: Double

    package init(
        openTime: Int64, close: Double, volume: Double, takerBuyVolume: Double, tradeCount: Double
    ) {
        self.openTime = openTime
        self.close = close
        self.volume = volume
        self.takerBuyVolume = takerBuyVolume
        self.tradeCount = tradeCount
    }
}

extension Double {
    fileprivate var orZero: Double { isNaN ? 0 : self }
}
