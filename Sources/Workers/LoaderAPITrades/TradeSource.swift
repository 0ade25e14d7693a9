import BinanceFeed
import LoaderKit
import MarketData
import Workflow

/// The trades of one range, as the exchange has them.
package struct TradeSource: RecordSource {
    private let range: TradeRange
    private let feed: BinanceFeed
    private let writer: TradeRecordWriter

    package init(_ range: TradeRange, feed: BinanceFeed) {
        self.range = range
        self.feed = feed
        writer = TradeRecordWriter(symbol: range.symbol, kind: range.kind)
    }

    package var symbol: Symbol { range.symbol }

    package func read(
        after record: StoredRecord?, handle: @Sendable (TradeRecords) async throws -> Void
    ) async throws {
        let last = record.flatMap(position)
        try await feed.trades(range, after: last) { page in
            try await handle(TradeRecords(page, range.symbol, range.kind, writer))
        }
    }

    package func misfit(_ record: StoredRecord) -> String? {
        guard RecordKey.tradeID(ofTrade: record.key, range.symbol, range.kind) != nil else {
            return "is no \(range.kind) trade of \(range.symbol)"
        }
        guard let time = position(record)?.time else { return "has no time" }
        return time >= range.from && time < range.to ? nil : "lies outside the range"
    }

    private func position(_ record: StoredRecord) -> TradePosition? {
        guard let id = RecordKey.tradeID(ofTrade: record.key, range.symbol, range.kind),
            let time = try? MessageCodec.decode(TimedDocument.self, from: record.value).time
        else { return nil }
        return TradePosition(id: id, time: time)
    }

    private struct TimedDocument: Decodable {
        var time: Int64
    }
}

/// A page of trades with what it takes to write them.
package struct TradeRecords: RecordPage {
    private let page: TradePage
    private let symbol: Symbol
    private let kind: TradeKind
    private let writer: TradeRecordWriter

    init(_ page: TradePage, _ symbol: Symbol, _ kind: TradeKind, _ writer: TradeRecordWriter) {
        self.page = page
        self.symbol = symbol
        self.kind = kind
        self.writer = writer
    }

    package var rowCount: Int { page.rowCount }
    package var holes: [RecordHole] { page.holes }

    package func key(row: Int) -> String { RecordKey.trade(symbol, kind, id: page.id(row: row)) }

    package func forEachRecord(_ body: (Int, (UnsafeMutableRawBufferPointer) -> Int) -> Void) {
        var record: [UInt8] = []
        page.forEachTrade { fields, bytes in
            record.removeAll(keepingCapacity: true)
            writer.write(fields, of: bytes, to: &record)
            body(record.count) { room in
                room.copyBytes(from: record)
                return record.count
            }
        }
    }
}
