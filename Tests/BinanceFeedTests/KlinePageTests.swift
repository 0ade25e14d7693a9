import MarketData
import Testing

@testable import BinanceFeed

@Suite struct KlinePageTests {
    private static let start: Int64 = 1_722_470_400_000
    private static let step: Int64 = 300_000

    /// A page of rows that open so many steps after the start.
    private static func page(
        _ steps: [Int64], to: Int64 = 10, asOf: Int64 = 1_000, end: Int64? = nil
    ) throws -> KlinePage {
        let rows = steps.map { step in
            let open = start + step * Self.step
            return "[\(open),\"1\",\"1\",\"1\",\"1\",\"1\",\(open + Self.step - 1),\"1\",1,\"1\",\"1\",\"0\"]"
        }
        let bytes = Array("[\(rows.joined(separator: ","))]".utf8)
        let symbol = try #require(Symbol("BTCUSDT"))
        let range = KlineRange(
            symbol: symbol, interval: .minute5, from: start, to: start + to * step, asOf: start + asOf * step)
        return try KlinePage(
            bytes: bytes, table: KlineScanner.scan(bytes), of: range, start: start,
            end: end.map { start + $0 * step } ?? range.closedEnd)
    }

    private static func hole(_ from: Int64, _ to: Int64) -> RecordHole {
        RecordHole(from: start + from * step, to: start + to * step, recordCount: to - from)
    }

    @Test func `the next page begins after the last row`() throws {
        let page = try Self.page([0, 1, 2])
        #expect(page.rowCount == 3)
        #expect(page.holes.isEmpty)
        #expect(page.nextStart == Self.start + 3 * Self.step)
    }

    @Test func `a page that reaches the end is the last`() throws {
        let page = try Self.page(Array(0..<10))
        #expect(page.nextStart == nil)
        #expect(page.holes.isEmpty)
    }

    @Test func `holes before and between rows are reported`() throws {
        let page = try Self.page([2, 3, 6, 9])
        #expect(page.holes == [Self.hole(0, 2), Self.hole(4, 6), Self.hole(7, 9)])
        #expect(page.nextStart == nil)
    }

    @Test func `an empty answer is a hole up to the end`() throws {
        let page = try Self.page([])
        #expect(page.holes == [Self.hole(0, 10)])
        #expect(page.rowCount == 0)
        #expect(page.nextStart == nil)
    }

    @Test func `an empty answer for a shortened range goes on behind it`() throws {
        let page = try Self.page([], end: 4)
        #expect(page.holes == [Self.hole(0, 4)])
        #expect(page.nextStart == Self.start + 4 * Self.step)
    }

    @Test func `a candle that was not closed is left out`() throws {
        let page = try Self.page([0, 1, 2], to: 3, asOf: 2, end: 3)
        #expect(page.rowCount == 2)
        #expect(page.nextStart == nil)
        #expect(page.holes.isEmpty)
    }

    @Test(arguments: [[0, 0], [1, 0], [-1], [10], [0, 11]] as [[Int64]])
    func `rows out of order or out of range are corrupt`(steps: [Int64]) {
        #expect(throws: ScanFailure.self) { try Self.page(steps) }
    }

    @Test func `the range ends before the candle that was open`() throws {
        let symbol = try #require(Symbol("BTCUSDT"))
        let month = KlineRange(
            symbol: symbol, interval: .month1, from: 1_720_000_000_000, to: 1_730_000_000_000,
            asOf: 1_725_148_799_999)
        // 2024-07-03 is inside July, so August is the first; at 2024-08-31 23:59:59.999 it was still open.
        #expect(month.firstOpenTime == 1_722_470_400_000)
        #expect(month.closedEnd == 1_722_470_400_000)
    }

    @Test func `a record is written from the bytes of a page`() throws {
        let page = try Self.page([0])
        let symbol = try #require(Symbol("BTCUSDT"))
        let writer = CandleRecordWriter(symbol: symbol, interval: .minute5)
        var output: [UInt8] = []
        page.forEachCandle { _, fields, bytes in writer.write(fields, of: bytes, to: &output) }
        let text = String(decoding: output, as: UTF8.self)
        #expect(text.hasPrefix(#"{"_key":"BTCUSDT-5m-1722470400000","symbol":"BTCUSDT","interval":"5m","#))
        #expect(text.contains(#""close_time":1722470699999,"#))
    }
}
