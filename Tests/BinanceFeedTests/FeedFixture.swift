import HTTPBridge
import MarketData
import ReplayExchange
import Synchronization
import Testing
import Workflow

@testable import BinanceFeed

/// Recordings loaded once for many tests: reading them takes longer than most tests.
private let loadedMarkets = Mutex<[Set<Symbol>: Market]>([:])

/// The sample's recordings of `symbols`. Two tests that come first together both load them: harmless.
func sampleMarket(_ symbols: Set<Symbol>) async throws -> Market {
    if let market = loadedMarkets.withLock({ $0[symbols] }) { return market }
    var options = ReplayOptions()
    options.symbols = symbols
    let market = try await ReplayExchange.load(options)
    loadedMarkets.withLock { $0[symbols] = market }
    return market
}

/// A replay exchange and what is needed to read from it.
struct FeedFixture: Sendable {
    let exchange: ReplayExchange.Running
    let http: HTTPClient
    let observations = ObservationLog()

    final class ObservationLog: Sendable {
        private let log = Mutex<[FeedObservation]>([])
        /// The same as they come, for a test that waits for one.
        let stream: AsyncStream<FeedObservation>
        private let continuation: AsyncStream<FeedObservation>.Continuation

        init() {
            (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1_000))
        }

        func add(_ observation: FeedObservation) {
            log.withLock { $0.append(observation) }
            continuation.yield(observation)
        }

        var all: [FeedObservation] { log.withLock { $0 } }
    }

    static func run(
        symbol: String = "BTCUSDT", _ change: (inout ReplayOptions) -> Void = { _ in },
        _ body: @Sendable (FeedFixture) async throws -> Void
    ) async throws {
        var options = ReplayOptions()
        options.symbols = try [#require(Symbol(symbol))]
        change(&options)
        let market = try await sampleMarket(options.symbols ?? [])
        let http = HTTPClient()
        try await ReplayExchange.withServer(options, market: market) { exchange in
            try await body(FeedFixture(exchange: exchange, http: http))
        }
        await http.close()
    }

    /// A feed with short back-offs and a known seed.
    func feed(
        pageRowsMax: Int = 1_000, budget: any RequestBudget = UnlimitedBudget(),
        _ change: (inout FeedRetryPolicy) -> Void = { _ in }
    ) -> BinanceFeed {
        var configuration = BinanceFeed.Configuration()
        configuration.pageRowsMax = pageRowsMax
        configuration.seed = 11
        configuration.retry.backoffInitial = .milliseconds(2)
        configuration.retry.backoffMax = .milliseconds(20)
        change(&configuration.retry)
        return BinanceFeed(
            baseURL: exchange.baseURL, http: http, budget: budget, configuration: configuration,
            observe: { [observations] in observations.add($0) })
    }

    /// The sample's month unless given otherwise.
    func range(
        _ symbol: String = "BTCUSDT", interval: KlineInterval = .minute5,
        from: Int64 = BinanceFeedTests.start, to: Int64 = BinanceFeedTests.monthEnd,
        asOf: Int64 = BinanceFeedTests.monthEnd
    ) throws -> KlineRange {
        KlineRange(
            symbol: try #require(Symbol(symbol)), interval: interval, from: from, to: to, asOf: asOf)
    }

    /// Reads `range`, or the whole month.
    func read(_ range: KlineRange? = nil, with feed: BinanceFeed? = nil) async throws -> Reading {
        var reading = Reading()
        try await (feed ?? self.feed()).klines(range ?? self.range()) { reading.add($0) }
        return reading
    }
}
