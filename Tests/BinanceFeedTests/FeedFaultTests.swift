import HTTPBridge
import MarketData
import ReplayExchange
import Testing

@testable import BinanceFeed

// One at a time: limits are counted in windows of real seconds.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct FeedFaultTests {
    @Test func `server errors and cut bodies lose and double nothing`() async throws {
        let seed = UInt64.random(in: 0..<1_000_000)
        try await FeedFixture.run {
            $0.faults.serverErrorShare = 0.25
            $0.faults.cutBodyShare = 0.25
            $0.seed = seed
        } _: { fixture in
            let feed = fixture.feed(pageRowsMax: 200) { $0.attemptMax = 50 }
            let reading = try await fixture.read(with: feed)
            #expect(reading.openTimes == BinanceFeedTests.month, "seed \(seed)")
            let answers = fixture.exchange.statistics.answers
            #expect(answers["cut"] ?? 0 > 0, "seed \(seed)")
            #expect(answers.filter { $0.key.hasPrefix("5") }.values.reduce(0, +) > 0, "seed \(seed)")
        }
    }

    @Test func `no request is made before Retry-After is over`() async throws {
        try await FeedFixture.run {
            $0.faults.stormEverySeconds = 1.5
            $0.faults.stormSeconds = 0.4
            $0.faults.latencyMilliseconds = 20
        } _: { fixture in
            let reading = try await fixture.read(with: fixture.feed(pageRowsMax: 100))
            #expect(reading.openTimes == BinanceFeedTests.month)
            let statistics = fixture.exchange.statistics
            #expect(statistics.answers["429"] ?? 0 > 0)
            #expect(statistics.requestsBeforeRetryAfter == 0)
        }
    }

    @Test func `a weight limit that is run into is waited for without a ban`() async throws {
        try await FeedFixture.run {
            $0.limits?.weightMax = 8
            $0.limits?.windowSeconds = 4
            $0.limits?.violationsMax = 0
        } _: { fixture in
            let reading = try await fixture.read()
            #expect(reading.openTimes == BinanceFeedTests.month)
            let statistics = fixture.exchange.statistics
            #expect(statistics.answers["429"] ?? 0 > 0)
            #expect(statistics.answers["418"] == nil)
            #expect(statistics.requestsBeforeRetryAfter == 0)
        }
    }

    @Test func `a budget slows down before the limit is reached`() async throws {
        try await FeedFixture.run {
            $0.limits?.weightMax = 10
            $0.limits?.windowSeconds = 4
        } _: { fixture in
            var limits = LocalBudget.Limits()
            limits.weightMax = 10
            limits.usableShare = 0.8
            let reading = try await fixture.read(with: fixture.feed(budget: LocalBudget(limits)))
            #expect(reading.openTimes == BinanceFeedTests.month)
            #expect(fixture.exchange.statistics.answers == ["200": 9])
            let waits = fixture.observations.all.filter { if case .heldBack = $0 { true } else { false } }
            #expect(!waits.isEmpty)
        }
    }

    @Test func `cancelling during a long Retry-After ends at once`() async throws {
        try await FeedFixture.run {
            $0.faults.stormEverySeconds = 300
            $0.faults.stormSeconds = 299.99
        } _: { fixture in
            // The calm that comes first is 10 ms.
            while try await fixture.http.execute(.init(.get, fixture.exchange.baseURL + "/api/v3/ping"))
                .status == 200
            {}
            let range = try fixture.range()
            await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await fixture.feed().klines(range) { _ in } }
                for await case .limited in fixture.observations.stream { break }
                let start = ContinuousClock.now
                group.cancelAll()
                await #expect(throws: CancellationError.self) { try await group.next() }
                // The wait asked for is five minutes.
                #expect(ContinuousClock.now - start < .seconds(5))
            }
        }
    }

    @Test func `a Retry-After beyond the bound ends the read and says how long`() async throws {
        try await FeedFixture.run {
            $0.limits?.weightMax = 1
            $0.limits?.windowSeconds = 86_400
        } _: { fixture in
            let error = await #expect(throws: FeedError.self) {
                try await fixture.read(with: fixture.feed { $0.retryAfterMax = .zero })
            }
            #expect(error?.code == .rateLimited)
            #expect(error?.isRetriable == true)
            #expect(error?.exchangeCode == -1003)
            #expect(error?.retryAfter ?? .zero > .zero)
            #expect(fixture.exchange.statistics.answers == ["429": 1])
        }
    }

    @Test func `an exchange that stays down is given up as unavailable`() async throws {
        try await FeedFixture.run {
            $0.faults.serverErrorShare = 1
        } _: { fixture in
            let error = await #expect(throws: FeedError.self) {
                try await fixture.read(with: fixture.feed { $0.attemptMax = 4 })
            }
            #expect(error?.code == .unavailable)
            #expect(error?.isRetriable == true)
            #expect(fixture.exchange.statistics.answers.values.reduce(0, +) == 4)
        }
    }

    @Test func `nobody listening is given up as unavailable`() async throws {
        let http = HTTPClient()
        var configuration = BinanceFeed.Configuration()
        configuration.retry.attemptMax = 2
        configuration.retry.backoffInitial = .milliseconds(1)
        // Port 1 is reserved; nothing listens there.
        let feed = BinanceFeed(
            baseURL: "http://127.0.0.1:1", http: http, budget: UnlimitedBudget(), configuration: configuration
        )
        let range = KlineRange(
            symbol: try #require(Symbol("BTCUSDT")), interval: .hour1, from: 0, to: 7_200_000, asOf: .max / 2)
        let error = await #expect(throws: FeedError.self) { try await feed.klines(range) { _ in } }
        #expect(error?.code == .unavailable)
        await http.close()
    }

    @Test func `an unknown symbol fails at the first answer in the exchange's own words`() async throws {
        try await FeedFixture.run { fixture in
            let error = await #expect(throws: FeedError.self) {
                try await fixture.read(try fixture.range("XYZUSDT"))
            }
            #expect(error?.code == .refused)
            #expect(error?.isRetriable == false)
            #expect(error?.exchangeCode == -1121)
            #expect(error?.exchangeMessage == "Invalid symbol.")
            #expect(error?.operation == "klines XYZUSDT 5m from 1722470400000")
            #expect(fixture.exchange.statistics.answers == ["400": 1])
        }
    }

    @Test func `an answer that is something else is corrupt after all attempts`() async throws {
        try await FeedFixture.run { fixture in
            // Page `/` is a text with status 200; the query after it is ignored.
            var configuration = BinanceFeed.Configuration()
            configuration.retry.attemptMax = 2
            configuration.retry.backoffInitial = .milliseconds(1)
            let feed = BinanceFeed(
                baseURL: fixture.exchange.baseURL + "/?", http: fixture.http, budget: UnlimitedBudget(),
                configuration: configuration)
            let error = await #expect(throws: FeedError.self) { try await fixture.read(with: feed) }
            #expect(error?.code == .corrupt)
            #expect(error?.isRetriable == false)
        }
    }
}
