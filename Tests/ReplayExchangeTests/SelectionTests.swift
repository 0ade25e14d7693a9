import MarketData
import ReplayExchange
import Testing

@Suite(.timeLimit(.minutes(3)))
struct SelectionTests {
    private static let first: Int64 = 1_722_470_400_000
    private static let step: Int64 = 300_000

    @Test func `paging by open time gives every candle once`() async throws {
        try await ExchangeFixture.run { fixture in
            var times: [Int64] = []
            while true {
                let start = times.last.map { $0 + 1 } ?? 0
                let rows = try await fixture.klines(
                    "symbol=BTCUSDT&interval=5m&limit=1000&startTime=\(start)")
                if rows.isEmpty { break }
                times += rows.compactMap { $0[0].number }
            }
            #expect(times == (0..<8_928).map { Self.first + $0 * Self.step })
        }
    }

    @Test func `start and end are both included`() async throws {
        try await ExchangeFixture.run { fixture in
            let query = "symbol=BTCUSDT&interval=5m&startTime=\(Self.first)"
            let two = try await fixture.klines(query + "&endTime=\(Self.first + Self.step)")
            #expect(two.map { $0[0].number } == [Self.first, Self.first + Self.step])
            let one = try await fixture.klines(query + "&endTime=\(Self.first)")
            #expect(one.map { $0[0].number } == [Self.first])
            let before = try await fixture.klines(query + "&endTime=\(Self.first - 1)")
            #expect(before.isEmpty)
        }
    }

    @Test func `only an end gives the newest up to it, oldest first`() async throws {
        try await ExchangeFixture.run { fixture in
            let end = Self.first + 10 * Self.step
            let rows = try await fixture.klines("symbol=BTCUSDT&interval=5m&limit=3&endTime=\(end)")
            #expect(rows.map { $0[0].number } == [end - 2 * Self.step, end - Self.step, end])
        }
    }

    @Test func `the limit is 500 unless given and never above 1000`() async throws {
        try await ExchangeFixture.run { fixture in
            let byDefault = try await fixture.klines("symbol=BTCUSDT&interval=5m")
            let candles = try await fixture.klines("symbol=BTCUSDT&interval=5m&limit=5000")
            let trades = try await fixture.objects("/api/v3/trades?symbol=BTCUSDT&limit=5000")
            #expect(byDefault.count == 500)
            #expect(candles.count == 1_000)
            #expect(trades.count == 1_000)
        }
    }

    @Test func `times may be given in microseconds`() async throws {
        try await ExchangeFixture.run { fixture in
            let query = "symbol=BTCUSDT&interval=5m&startTime=\(Self.first)000&endTime=\(Self.first)999"
            let inside = try await fixture.klines(query).map { $0[0].number }
            #expect(inside == [Self.first])
            let later = "symbol=BTCUSDT&interval=5m&limit=1&startTime=\(Self.first)001"
            let after = try await fixture.klines(later).map { $0[0].number }
            #expect(after == [Self.first + Self.step])
        }
    }

    @Test func `candles after the present are not there and the last one may be open`() async throws {
        try await ExchangeFixture.run {
            $0.now = Self.first + 2 * Self.step + 1_000
        } _: { fixture in
            let rows = try await fixture.klines("symbol=BTCUSDT&interval=5m")
            #expect(rows.map { $0[0].number } == (0...2).map { Self.first + $0 * Self.step })
            #expect(try #require(rows.last?[6].number) > fixture.exchange.now)
            // An open candle of a longer interval holds only what has been recorded by now.
            let hour = try await fixture.klines("symbol=BTCUSDT&interval=1h")
            #expect(hour.count == 1)
            #expect(hour.first?[4] == rows.last?[4])
        }
    }

    @Test func `paging trades by id loses and doubles none`() async throws {
        try await ExchangeFixture.run { fixture in
            var ids: [Int64] = []
            while true {
                let from = ids.last.map { $0 + 1 } ?? 0
                let path = "/api/v3/historicalTrades?symbol=BTCUSDT&limit=1000&fromId=\(from)"
                let trades = try await fixture.objects(path)
                if trades.isEmpty { break }
                ids += trades.compactMap { $0["id"]?.number }
            }
            #expect(ids == Array(3_735_683_259...3_735_703_162))
        }
    }

    @Test func `aggregate trades join consecutive trades of one price, time and side`() async throws {
        try await ExchangeFixture.run { fixture in
            var next: Int64 = 3_735_683_259
            var from: Int64 = 1
            var count = 0
            while true {
                let page = try await fixture.objects(
                    "/api/v3/aggTrades?symbol=BTCUSDT&limit=1000&fromId=\(from)")
                if page.isEmpty { break }
                for trade in page {
                    #expect(trade["a"]?.number == from)
                    #expect(trade["f"]?.number == next)
                    next = try #require(trade["l"]?.number) + 1
                    from += 1
                    count += 1
                }
            }
            #expect(next == 3_735_703_163)
            #expect(count > 10_000 && count < 19_904)
        }
    }

    @Test func `aggregate trades of a time range begin and end inside it`() async throws {
        try await ExchangeFixture.run { fixture in
            let range = "startTime=1723161600000&endTime=1723161600999"
            let trades = try await fixture.objects("/api/v3/aggTrades?symbol=BTCUSDT&\(range)&limit=1000")
            let times = trades.compactMap { $0["T"]?.number }
            #expect(!times.isEmpty)
            #expect(times == times.sorted())
            #expect(times.allSatisfy { (1_723_161_600_000...1_723_161_600_999).contains($0) })
        }
    }
}
