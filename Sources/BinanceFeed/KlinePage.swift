import MarketData

/// What to read: candles that open in `from ..< to` and were closed at `asOf`. Unix milliseconds.
package struct KlineRange: Sendable, Hashable {
    package var symbol: Symbol
    package var interval: KlineInterval
    package var from: Int64
    package var to: Int64
    package var asOf: Int64

    package init(symbol: Symbol, interval: KlineInterval, from: Int64, to: Int64, asOf: Int64) {
        self.symbol = symbol
        self.interval = interval
        self.from = from
        self.to = to
        self.asOf = asOf
    }

    /// The end of what can be closed by `asOf`: the candle that holds `asOf` is open, and so are later ones.
    var closedEnd: Int64 { min(to, interval.openTime(containing: asOf)) }

    /// The first candle that opens at `from` or later.
    var firstOpenTime: Int64 {
        let open = interval.openTime(containing: from)
        return open < from ? interval.openTime(after: open) : open
    }
}

/// One answer of the exchange: its bytes, and where in them the closed candles are.
package struct KlinePage: ExchangePage {
    /// The answer's body as received.
    package let bytes: [UInt8]
    let table: KlineTable
    /// Rows used: candles that were not closed at `asOf` are left out (they can only be the last).
    package let rowCount: Int
    /// Holes before and between the rows of this page, and after them when it is the last page.
    package let holes: [RecordHole]
    /// Where the next page begins; nil when this is the last.
    let nextStart: Int64?

    package func openTime(row: Int) -> Int64 { table.openTimes[row] }

    /// nil for a page without rows.
    var lastOpenTime: Int64? { rowCount > 0 ? table.openTimes[rowCount - 1] : nil }

    /// Passes each candle's fields and the bytes they lie in, in order; allocates nothing per row.
    package func forEachCandle<Failure: Error>(
        _ body: (_ openTime: Int64, CandleRecordWriter.Fields, UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        var ranges = [Range<Int>](repeating: 0..<0, count: KlineTable.fieldCount)
        try bytes.withRawBytes { bytes throws(Failure) in
            for row in 0..<rowCount {
                for field in 0..<KlineTable.fieldCount {
                    ranges[field] = table.range(row: row, field: field)
                }
                try body(table.openTimes[row], CandleRecordWriter.Fields(ranges), bytes)
            }
        }
    }

    /// Checks scanned rows against what was asked for.
    ///
    /// - Parameters:
    ///   - start: the open time the request began with; rows before it are corrupt.
    ///   - end: rows at or after it are corrupt. Less than the range's end when the exchange refused it whole.
    /// - Throws: ``ScanFailure`` naming the row.
    init(
        bytes: [UInt8], table: KlineTable, of range: KlineRange, start: Int64, end: Int64
    ) throws(ScanFailure) {
        let interval = range.interval
        var expected = start
        var holes: [RecordHole] = []
        var rowCount = 0
        for row in 0..<table.rowCount {
            let openTime = table.openTimes[row]
            // 13 digits are the times from 2001 to 2286; fewer or more are another unit or nonsense.
            guard openTime >= 1_000_000_000_000, openTime < 10_000_000_000_000 else {
                throw ScanFailure(offset: row, reason: "row \(row) opens at \(openTime)")
            }
            guard openTime >= expected, openTime < end else {
                throw ScanFailure(
                    offset: row, reason: "row \(row) opens at \(openTime), outside \(expected)..<\(end)")
            }
            guard table.closeTimes[row] > openTime else {
                throw ScanFailure(offset: row, reason: "row \(row) closes before it opens")
            }
            guard table.closeTimes[row] < range.asOf else { break }
            Self.add(from: expected, to: openTime, interval, to: &holes)
            expected = interval.openTime(after: interval.openTime(containing: openTime))
            rowCount += 1
        }
        // An empty answer means that there is nothing more up to the end; anything else is asked for again
        // from the last row on, because the server may answer with fewer rows than it was asked for.
        let isExhausted = rowCount == 0 || expected >= end
        if isExhausted, expected < end {
            Self.add(from: expected, to: end, interval, to: &holes)
            expected = end
        }
        self.bytes = bytes
        self.table = table
        self.rowCount = rowCount
        self.holes = holes
        nextStart = expected < range.closedEnd ? expected : nil
    }

    private static func add(
        from: Int64, to: Int64, _ interval: KlineInterval, to holes: inout [RecordHole]
    ) {
        let count = interval.candleCount(from: from, to: to)
        if count > 0 { holes.append(RecordHole(from: from, to: to, recordCount: count)) }
    }
}
