/// One answer of the exchange with records in it.
package protocol ExchangePage: Sendable {
    /// Records that are used.
    var rowCount: Int { get }
    var holes: [RecordHole] { get }
}

/// Records the exchange does not have: `recordCount` of them, from `from` to before `to`. Open times of candles
/// in Unix milliseconds; ids of trades.
///
/// Before a symbol's listing, where trading was halted, and where ids are missing. Reported, never filled.
package struct RecordHole: Sendable, Hashable {
    package var from: Int64
    package var to: Int64
    package var recordCount: Int64

    package init(from: Int64, to: Int64, recordCount: Int64) {
        self.from = from
        self.to = to
        self.recordCount = recordCount
    }
}
