import Foundation
import HTTPBridge
import MarketData
import ReplayExchange
import Synchronization
import Testing
import Workflow

@testable import BinanceFeed

/// Recorded trades through the feed. BTCUSDT: 2024-08-08 23:54:15 to 2024-08-09 00:05:05, every id present.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct TradeFeedTests {
    static let ids: ClosedRange<Int64> = 3_735_683_259...3_735_703_162
    /// 2024-08-09 00:00 UTC.
    static let midnight: Int64 = 1_723_161_600_000
    private static let day: Int64 = 86_400_000

    static func range(
        _ kind: TradeKind = .raw, from: Int64 = midnight - day, to: Int64 = midnight + day,
        asOf: Int64 = 9_999_999_999_999
    ) throws -> TradeRange {
        TradeRange(symbol: try #require(Symbol("BTCUSDT")), kind: kind, from: from, to: to, asOf: asOf)
    }

    @Test func `all recorded trades are read once, as recorded`() async throws {
        try await FeedFixture.run { fixture in
            let reading = try await fixture.trades(try Self.range())
            #expect(reading.ids == Array(Self.ids))
            #expect(reading.holes.isEmpty)
            let served = try await fixture.servedTrades(from: Self.ids.lowerBound)
            #expect(reading.records == served)
        }
    }

    @Test(arguments: TradeKind.allCases, [1, 2, 7, 100])
    func `pages of any size give the same trades`(kind: TradeKind, pageRows: Int) async throws {
        try await FeedFixture.run {
            $0.limits = nil
        } _: { fixture in
            // Ten seconds around midnight hold hundreds of trades, many of them in the same millisecond.
            let range = try Self.range(kind, from: Self.midnight - 5_000, to: Self.midnight + 5_000)
            let whole = try await fixture.trades(range)
            let paged = try await fixture.trades(range, with: fixture.feed(pageRowsMax: pageRows))
            #expect(whole.ids.count > 150)
            #expect(paged == whole)
            #expect(whole.ids == Array(whole.ids[0]..<(whole.ids[0] + Int64(whole.ids.count))))
        }
    }

    @Test func `a range ends exactly at its milliseconds`() async throws {
        try await FeedFixture.run { fixture in
            let served = try await fixture.servedTrades(from: Self.ids.lowerBound)
            let times = served.map(\.time)
            // The fullest millisecond: its trades are the whole range, and neighbours stay out.
            let counts = Dictionary(grouping: times, by: \.self).mapValues(\.count)
            let fullest = try #require(counts.max { ($0.value, $0.key) < ($1.value, $1.key) })
            try #require(fullest.value > 10)
            for (from, to) in [(fullest.key, fullest.key + 1), (fullest.key + 1, fullest.key + 2_000)] {
                let reading = try await fixture.trades(
                    try Self.range(from: from, to: to), with: fixture.feed(pageRowsMax: 3))
                #expect(reading.records == served.filter { (from..<to).contains($0.time) })
            }
        }
    }

    @Test func `trades made at or after the fixed time are not read`() async throws {
        try await FeedFixture.run { fixture in
            let asOf = Self.midnight + 1_234
            let reading = try await fixture.trades(try Self.range(asOf: asOf))
            let served = try await fixture.servedTrades(from: Self.ids.lowerBound)
            #expect(reading.records == served.filter { $0.time < asOf })
        }
    }

    @Test(arguments: TradeKind.allCases)
    func `a read that goes on behind any trade gives the rest`(kind: TradeKind) async throws {
        try await FeedFixture.run {
            $0.limits = nil
        } _: { fixture in
            let range = try Self.range(kind, from: Self.midnight, to: Self.midnight + 2_000)
            let whole = try await fixture.trades(range)
            let feed = fixture.feed(pageRowsMax: 10)
            for index in stride(from: 0, to: whole.ids.count, by: 11) {
                let rest = try await fixture.trades(
                    range, after: TradePosition(id: whole.ids[index], time: whole.records[index].time),
                    with: feed)
                #expect(rest.records == Array(whole.records[(index + 1)...]))
            }
        }
    }

    @Test(arguments: TradeKind.allCases)
    func `a range without trades is empty`(kind: TradeKind) async throws {
        try await FeedFixture.run { fixture in
            for time in [Self.midnight - 10 * Self.day, Self.midnight + 10 * Self.day] {
                let reading = try await fixture.trades(try Self.range(kind, from: time, to: time + 1))
                #expect(reading == TradeReading())
            }
            let asked = fixture.exchange.statistics.answers["200"]
            let reading = try await fixture.trades(try Self.range(kind, asOf: Self.midnight - 10 * Self.day))
            #expect(reading == TradeReading())
            #expect(fixture.exchange.statistics.answers["200"] == asked)
        }
    }

    @Test(arguments: TradeKind.allCases)
    func `each request costs what the settings say`(kind: TradeKind) async throws {
        try await FeedFixture.run {
            // One window for the whole test.
            $0.limits?.windowSeconds = 86_400
        } _: { fixture in
            let budget = CountingBudget()
            let reading = try await fixture.trades(
                try Self.range(kind, from: Self.midnight), with: fixture.feed(budget: budget))
            // As many pages, and one that says that there is no more.
            let pages = (reading.ids.count + 999) / 1_000 + 1
            let expected = kind == .aggregate ? 4 * pages : 4 + 25 * pages
            #expect(budget.weight == expected)
            #expect(fixture.exchange.usedWeight() == expected)
        }
    }

    @Test func `server errors, cut bodies and refusals lose and double nothing`() async throws {
        let seed = UInt64.random(in: 0..<1_000_000)
        try await FeedFixture.run {
            $0.faults.serverErrorShare = 0.2
            $0.faults.cutBodyShare = 0.2
            $0.faults.stormEverySeconds = 1.5
            $0.faults.stormSeconds = 0.3
            $0.faults.latencyMilliseconds = 10
            $0.limits = nil
            $0.seed = seed
        } _: { fixture in
            let feed = fixture.feed(pageRowsMax: 300) { $0.attemptMax = 50 }
            let reading = try await fixture.trades(try Self.range(), with: feed)
            #expect(reading.ids == Array(Self.ids), "seed \(seed)")
            let statistics = fixture.exchange.statistics
            #expect(statistics.answers["cut"] ?? 0 > 0, "seed \(seed)")
            #expect(statistics.answers["429"] ?? 0 > 0, "seed \(seed)")
            #expect(statistics.requestsBeforeRetryAfter == 0, "seed \(seed)")
        }
    }

    @Test func `ids the exchange lacks are a hole`() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "holes-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(
            at: folder.appending(path: "trades"), withIntermediateDirectories: true)
        let ids: [Int64] = [5, 6, 9, 10, 12]
        let rows = ids.map { "\($0),1.5,2,,\(Self.midnight + $0),true\n" }
        try ("id,price,qty,quote_qty,time,is_buyer_maker\n" + rows.joined()).write(
            to: folder.appending(path: "trades/HOLEUSDT.csv"), atomically: true, encoding: .utf8)
        var options = ReplayOptions()
        options.dataDirectory = folder.path
        try await ReplayExchange.withServer(options) { exchange in
            let fixture = FeedFixture(exchange: exchange, http: HTTPClient())
            var range = try Self.range()
            range.symbol = try #require(Symbol("HOLEUSDT"))
            let reading = try await fixture.trades(range, with: fixture.feed(pageRowsMax: 2))
            #expect(reading.ids == [5, 6, 9, 10, 12])
            #expect(
                reading.holes == [
                    RecordHole(from: 7, to: 9, recordCount: 2), RecordHole(from: 11, to: 12, recordCount: 1),
                ])
        }
    }

    @Test func `a symbol the exchange does not know is refused in its words`() async throws {
        try await FeedFixture.run { fixture in
            var range = try Self.range()
            range.symbol = try #require(Symbol("NOSUCHUSDT"))
            let error = await #expect(throws: FeedError.self) { try await fixture.trades(range) }
            #expect(error?.code == .refused && error?.exchangeCode == -1121)
        }
    }
}

/// Never waits, and counts what was booked.
private final class CountingBudget: RequestBudget {
    private let taken = Mutex(0)

    var weight: Int { taken.withLock { $0 } }

    func take(_ weight: Int, waiting: @Sendable (BudgetWait) -> Void) async throws -> BudgetTicket {
        taken.withLock { $0 += weight }
        return BudgetTicket(weight: weight)
    }

    func settle(_ ticket: BudgetTicket, _ answer: BudgetAnswer) {}
    func close() async {}
}

/// What was read of trades.
struct TradeReading: Sendable, Equatable {
    struct Record: Sendable, Equatable {
        var id: Int64
        var time: Int64
        /// Price, quantity and side, as sent.
        var rest: [String]
    }

    var records: [Record] = []
    var holes: [RecordHole] = []

    var ids: [Int64] { records.map(\.id) }

    mutating func add(_ page: TradePage) {
        holes += page.holes
        page.forEachTrade { fields, bytes in
            func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
            records.append(
                Record(
                    id: Int64(text(fields.id)) ?? -1, time: Int64(text(fields.time)) ?? -1,
                    rest: [text(fields.price), text(fields.quantity), text(fields.isBuyerMaker)]))
        }
    }
}

extension FeedFixture {
    func trades(
        _ range: TradeRange, after last: TradePosition? = nil, with feed: BinanceFeed? = nil
    ) async throws -> TradeReading {
        var reading = TradeReading()
        try await (feed ?? self.feed()).trades(range, after: last) { reading.add($0) }
        return reading
    }

    /// The recording as the exchange gives it, read by another parser.
    func servedTrades(from first: Int64) async throws -> [TradeReading.Record] {
        var records: [TradeReading.Record] = []
        var next = first
        while true {
            let url = "\(exchange.baseURL)/api/v3/historicalTrades?symbol=BTCUSDT&fromId=\(next)&limit=1000"
            let body = try await http.execute(HTTPRequest(.get, url)).body
            let rows = try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [[String: Any]])
            guard !rows.isEmpty else { return records }
            for row in rows {
                let id = try #require(row["id"] as? NSNumber).int64Value
                records.append(
                    TradeReading.Record(
                        id: id, time: try #require(row["time"] as? NSNumber).int64Value,
                        rest: [
                            try #require(row["price"] as? String), try #require(row["qty"] as? String),
                            String(try #require(row["isBuyerMaker"] as? Bool)),
                        ]))
                next = id + 1
            }
        }
    }
}
