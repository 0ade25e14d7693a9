import MarketData

/// What to read: the trades of `from ..< to` that were made before `asOf`. Unix milliseconds.
///
/// Taken as a run of ids: from the first trade at or after `from` up to, not with, the first at or after the end.
package struct TradeRange: Sendable, Hashable {
    package var symbol: Symbol
    package var kind: TradeKind
    package var from: Int64
    package var to: Int64
    package var asOf: Int64

    package init(symbol: Symbol, kind: TradeKind, from: Int64, to: Int64, asOf: Int64) {
        self.symbol = symbol
        self.kind = kind
        self.from = from
        self.to = to
        self.asOf = asOf
    }

    var end: Int64 { min(to, asOf) }
}

/// One answer of the exchange: its bytes, and where in them the trades of the range are.
package struct TradePage: ExchangePage {
    /// The answer's body as received.
    package let bytes: [UInt8]
    let table: TradeTable
    /// Rows used: the first that lies behind the range ends it.
    package let rowCount: Int
    /// Ids missing before and between the rows.
    package let holes: [RecordHole]
    /// The id the next page begins with; nil when this is the last.
    let nextID: Int64?

    package func id(row: Int) -> Int64 { table.ids[row] }

    /// nil for a page without rows.
    var lastRow: TradePosition? {
        rowCount > 0 ? TradePosition(id: table.ids[rowCount - 1], time: table.times[rowCount - 1]) : nil
    }

    /// Passes each trade's fields and the bytes they lie in, in order.
    package func forEachTrade(_ body: (TradeRecordWriter.Fields, UnsafeRawBufferPointer) -> Void) {
        bytes.withUnsafeBytes { bytes in
            for row in 0..<rowCount { body(table.fields(row: row), bytes) }
        }
    }

    /// Checks scanned rows against what was asked for.
    ///
    /// - Parameter firstID: the id that was asked for; nil when the range's first trade was.
    /// - Throws: ``ScanFailure`` naming the row.
    init(
        bytes: [UInt8], table: TradeTable, of range: TradeRange, firstID: Int64?
    ) throws(ScanFailure) {
        var expected = firstID
        var holes: [RecordHole] = []
        var rowCount = 0
        var isEnded = table.rowCount == 0
        for row in 0..<table.rowCount {
            let (id, time) = (table.ids[row], table.times[row])
            // 13 digits are the times from 2001 to 2286; fewer or more are another unit or nonsense.
            guard time >= 1_000_000_000_000, time < 10_000_000_000_000 else {
                throw ScanFailure(offset: row, reason: "row \(row) has the time \(time)")
            }
            guard id >= expected ?? 0 else {
                throw ScanFailure(
                    offset: row, reason: "row \(row) has the id \(id), expected \(expected ?? 0)")
            }
            guard expected != nil || time >= range.from else {
                throw ScanFailure(offset: row, reason: "row \(row) has the time \(time), before the range")
            }
            guard time < range.end else {
                isEnded = true
                break
            }
            if let expected, id > expected {
                holes.append(RecordHole(from: expected, to: id, recordCount: id - expected))
            }
            expected = id + 1
            rowCount += 1
        }
        self.bytes = bytes
        self.table = table
        self.rowCount = rowCount
        self.holes = holes
        // The server may answer with fewer rows than it was asked for: only an empty answer has none behind it.
        nextID = isEnded ? nil : expected
    }
}
