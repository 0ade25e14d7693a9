import MarketData
import Testing

@testable import ReplayExchange

@Suite(.timeLimit(.minutes(3)))
struct AggregationTests {
    @Test func `a longer candle is exactly the sum of the recorded ones`() async throws {
        try await ExchangeFixture.run { fixture in
            let recorded = try await Self.all("5m", fixture)
            for text in ["15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"] {
                let interval = try #require(KlineInterval(rawValue: text))
                try Self.check(try await Self.all(text, fixture), of: interval, against: recorded)
            }
        }
    }

    private static func check(
        _ longer: [[JSONValue]], of interval: KlineInterval, against recorded: [[JSONValue]]
    ) throws {
        let groups = Dictionary(grouping: recorded) { interval.openTime(containing: $0[0].number ?? 0) }
        #expect(longer.map { $0[0].number } == groups.keys.sorted())
        for row in longer {
            let open = try #require(row[0].number)
            let group = try #require(groups[open])
            let expected: [JSONValue?] = [group.first?[1], group.last?[4]]
            #expect([row[1], row[4]] == expected)
            #expect(row[6].number == interval.openTime(after: open) - 1)
            let high = try group.map { try units($0[2]) }.max()
            let low = try group.map { try units($0[3]) }.min()
            let volume = try group.map { try units($0[5]) }.reduce(0, +)
            #expect(try [units(row[2]), units(row[3]), units(row[5])] == [high, low, volume])
        }
    }

    @Test(arguments: [
        ("BTCUSDT", 9_913, ["61686", "61744.37", "61556.04", "61607.99", "221.61722"]),
        ("ETHUSDT", 8_346, ["2682.5", "2684.39", "2673.6", "2677.67", "2012.4564"]),
    ])
    func `the trades of five minutes give exactly the recorded candle`(
        name: String, tradeCount: Int, values: [String]
    ) async throws {
        let symbol = try #require(Symbol(name))
        try await ExchangeFixture.run {
            $0.symbols = [symbol]
        } _: { fixture in
            let range = 1_723_161_600_000..<Int64(1_723_161_900_000)
            var trades: [[String: JSONValue]] = []
            while true {
                let from = (trades.last?["id"]?.number ?? 0) + 1
                let page = try await fixture.objects(
                    "/api/v3/historicalTrades?symbol=\(name)&limit=1000&fromId=\(from)")
                if page.isEmpty { break }
                trades += page
            }
            trades = trades.filter { range.contains($0["time"]?.number ?? 0) }
            #expect(trades.count == tradeCount)
            let prices = try trades.map { try Self.units($0["price"] ?? .other) }
            let volume = try trades.map { try Self.units($0["qty"] ?? .other) }.reduce(0, +)
            let rows = try await fixture.klines(
                "symbol=\(name)&interval=5m&startTime=\(range.lowerBound)&limit=1")
            let candle = try #require(rows.first)
            let fromTrades = [prices.first, prices.max(), prices.min(), prices.last, volume]
            #expect(try (1...5).map { try Self.units(candle[$0]) } == fromTrades)
            #expect(values.map { DecimalAmount(Array($0.utf8))?.units } == fromTrades)
        }
    }

    @Test func `a time zone moves the buckets, and one that cuts recorded candles has none`() async throws {
        try await ExchangeFixture.run { fixture in
            let shifted = try await fixture.klines(
                "symbol=BTCUSDT&interval=1d&timeZone=5:30&startTime=1722470400000&limit=1")
            // 2024-08-01 18:30 UTC is midnight at +05:30; the first bucket opened before the recording.
            #expect(shifted.map { $0[0].number } == [1_722_537_000_000])
            let cut = try await fixture.klines("symbol=BTCUSDT&interval=1d&timeZone=0:01")
            #expect(cut.isEmpty)
            let same = try await fixture.klines("symbol=BTCUSDT&interval=5m&timeZone=8&limit=1")
            #expect(same.map { $0[0].number } == [1_725_148_500_000])
        }
    }

    @Test func `an interval shorter than the recorded one has no candles`() async throws {
        try await ExchangeFixture.run { fixture in
            for interval in ["1s", "1m", "3m"] {
                let rows = try await fixture.klines("symbol=BTCUSDT&interval=\(interval)")
                #expect(rows.isEmpty)
            }
        }
    }

    @Test func `a late listing begins when it was listed`() async throws {
        let symbol = try #require(Symbol("TONUSDT"))
        try await ExchangeFixture.run {
            $0.symbols = [symbol]
        } _: { fixture in
            let first = try await fixture.klines("symbol=TONUSDT&interval=5m&startTime=0&limit=1")
            #expect(first.map { $0[0].number } == [1_723_111_200_000])
        }
    }

    @Test(arguments: ["", ".", "1.", ".5", "1.123456789", "-1", "1e5", "1,5", "٣"])
    func `a text that is no decimal of eight places is none`(text: String) {
        #expect(DecimalAmount(Array(text.utf8)) == nil)
    }

    @Test(arguments: [
        ("0", "0.00000000"), ("61686", "61686.00000000"), ("0.00001384", "0.00001384"),
        ("460347064967.0", "460347064967.00000000"), ("000.10", "0.10000000"),
    ])
    func `a decimal is written with eight places`(text: String, expected: String) {
        #expect(DecimalAmount(Array(text.utf8))?.text == expected)
    }

    private static func all(_ interval: String, _ fixture: ExchangeFixture) async throws -> [[JSONValue]] {
        var rows: [[JSONValue]] = []
        while true {
            let start = (rows.last?[0].number ?? -1) + 1
            let page = try await fixture.klines(
                "symbol=BTCUSDT&interval=\(interval)&limit=1000&startTime=\(start)")
            if page.isEmpty { return rows }
            rows += page
        }
    }

    /// Hundred-millionths, read without the code under test.
    private static func units(_ value: JSONValue) throws -> Int128 {
        let text = try #require(value.text)
        try #require(text.utf8.suffix(9).first == UInt8(ascii: "."))
        return try #require(Int128(text.replacing(".", with: "")))
    }
}
