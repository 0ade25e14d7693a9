import BinanceFeed
import LoaderKit
import MarketData

/// The candles of one range, as the exchange has them.
package struct CandleSource: RecordSource {
    private let range: KlineRange
    private let feed: BinanceFeed
    private let encoder: CandleEncoder

    package init(_ range: KlineRange, feed: BinanceFeed) {
        self.range = range
        self.feed = feed
        encoder = CandleEncoder(symbol: range.symbol, interval: range.interval)
    }

    package var symbol: Symbol { range.symbol }

    package func read(
        after record: StoredRecord?, handle: @Sendable (CandlePage) async throws -> Void
    ) async throws {
        var rest = range
        if let key = record?.key,
            let last = RecordKey.openTime(ofCandle: key, range.symbol, range.interval)
        {
            rest.from = range.interval.openTime(after: range.interval.openTime(containing: last))
        }
        try await feed.klines(rest) { page in
            try await handle(CandlePage(page, range.symbol, range.interval, encoder))
        }
    }

    package func misfit(_ record: StoredRecord) -> String? {
        guard let openTime = RecordKey.openTime(ofCandle: record.key, range.symbol, range.interval) else {
            return "is no candle \(range.symbol) \(range.interval.rawValue)"
        }
        return openTime >= range.from && openTime < range.to ? nil : "lies outside the range"
    }
}

/// A page of candles with what it takes to write them.
package struct CandlePage: RecordPage {
    private let page: KlinePage
    private let symbol: Symbol
    private let interval: KlineInterval
    private let encoder: CandleEncoder

    init(_ page: KlinePage, _ symbol: Symbol, _ interval: KlineInterval, _ encoder: CandleEncoder) {
        self.page = page
        self.symbol = symbol
        self.interval = interval
        self.encoder = encoder
    }

    package var rowCount: Int { page.rowCount }
    package var holes: [RecordHole] { page.holes }

    package func key(row: Int) -> String {
        RecordKey.candle(symbol, interval, openTime: page.openTime(row: row))
    }

    package func forEachRecord(_ body: (Int, (UnsafeMutableRawBufferPointer) -> Int) -> Void) {
        page.forEachCandle { _, fields, bytes in
            body(encoder.bytes(of: fields)) { encoder.write(fields, of: bytes, to: $0) }
        }
    }
}
