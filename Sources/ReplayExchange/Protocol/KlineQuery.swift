import MarketData

/// `GET /api/v3/klines` and `/api/v3/uiKlines`.
struct KlineQuery: Sendable {
    let symbolName: String
    let aggregation: KlineAggregation
    /// Open times, Unix milliseconds, both included.
    let start: Int64?
    let end: Int64?
    let limit: Int

    init(_ parameters: Parameters) throws(Refusal) {
        symbolName = try parameters.symbolName()
        aggregation = KlineAggregation(
            interval: try parameters.interval(), offset: try parameters.timeZoneOffset())
        (start, end) = try parameters.times()
        limit = try parameters.limit()
    }

    /// Renders the answer.
    ///
    /// Without a start: the newest `limit` candles up to the end. An interval that cannot be made from what
    /// is recorded has no candles.
    /// - Parameter holes: candles that open in one of these are left out.
    func answer(
        from market: SymbolMarket, now: Int64, holes: [Range<Int64>], unit: TimeUnit
    ) -> Answer {
        guard let series = market.series(aggregation, now: now) else { return Answer(body: "[]") }
        let visible = series.rows(from: start ?? .min, through: min(end ?? .max, now))
        let holes = holes.map { series.rows(from: $0.lowerBound, through: $0.upperBound - 1) }
        let rows = Selection.take(limit, of: Selection.cut(holes, from: visible), newest: start == nil)
        var body: [UInt8] = []
        body.reserveCapacity(rows.reduce(2) { $0 + series.slice($1).count + 1 })
        body.append(UInt8(ascii: "["))
        for range in rows {
            if body.count > 1 { body.append(UInt8(ascii: ",")) }
            switch unit {
            case .millisecond: body.append(contentsOf: series.slice(range))
            case .microsecond: Self.appendMicroseconds(range, of: series, to: &body)
            }
        }
        body.append(UInt8(ascii: "]"))
        return Answer(bytes: body, recordCount: rows.reduce(0) { $0 + $1.count })
    }

    /// Copies rows with their two times in microseconds: the last one of a candle ends in 999999.
    private static func appendMicroseconds(
        _ rows: Range<Int>, of series: KlineSeries, to body: inout [UInt8]
    ) {
        for row in rows {
            if row > rows.lowerBound { body.append(UInt8(ascii: ",")) }
            let text = series.slice(row..<row + 1)
            let elements = series.elements(of: row)
            body.append(contentsOf: text[text.startIndex..<elements[0].upperBound])
            body.appendText("000")
            body.append(contentsOf: text[elements[0].upperBound..<elements[6].upperBound])
            body.appendText("999")
            body.append(contentsOf: text[elements[6].upperBound...])
        }
    }
}

/// A successful answer.
struct Answer: Sendable {
    var bytes: [UInt8]
    /// Candles or trades in it.
    var recordCount = 0

    init(bytes: [UInt8], recordCount: Int) {
        self.bytes = bytes
        self.recordCount = recordCount
    }

    init(body: String) {
        bytes = Array(body.utf8)
    }
}
