import HTTPBridge
import MarketData
import Workflow

/// Reads candles and trades from the exchange's REST API (or the replay exchange): pages in order, none lost, none
/// doubled, limits kept.
///
/// Rules: binance-spot-api-docs, `rest-api.md` (klines, aggTrades, historicalTrades, limits) and `errors.md`.
package struct BinanceFeed: Sendable {
    package struct Configuration: Sendable {
        /// Rows asked for at once; the exchange gives at most 1,000.
        package var pageRowsMax = 1_000
        /// Weights of one request; they rose over the years, so they are settings.
        package var klinesWeight = 2
        package var aggregateTradesWeight = 4
        package var historicalTradesWeight = 25
        package var source = FeedSource.rest
        /// Where the archive's files are, without a path.
        package var archiveURL = "https://data.binance.vision"
        /// Longest file of the archive taken, zipped; it is kept on disk while it is read. A longer month is read
        /// by its days.
        package var archiveBytesMax = 1 << 30
        /// Where it is kept.
        package var archiveFolder = "/tmp"
        /// Tries for one file: it never has to be there, so fewer than for a page.
        package var archiveAttemptsMax = 5
        package var archiveTimeouts = HTTPTimeouts(
            connect: .seconds(10), whole: .seconds(1_800), idle: .seconds(60))
        /// Longest answer taken: 1,000 rows are under 250 kB.
        package var bodyBytesMax = 4 << 20
        package var timeouts = HTTPTimeouts(connect: .seconds(10), whole: .seconds(60), idle: .seconds(20))
        package var retry = FeedRetryPolicy()
        /// Names this worker, so that a server's statistics can tell workers apart.
        package var userAgent = "streamforge"
        /// Seed of the back-off's jitter.
        package var seed: UInt64 = .random(in: 0 ... .max)

        package init() {}
    }

    let baseURL: String
    let http: HTTPClient
    let budget: any RequestBudget
    let clock: FeedClock
    let configuration: Configuration
    let observe: @Sendable (FeedObservation) -> Void
    let gate: RequestGate
    let jitter: JitterSource

    /// - Parameters:
    ///   - baseURL: without a path, e.g. `https://api.binance.com`.
    ///   - observe: called on the reading task; must not block.
    package init(
        baseURL: String, http: HTTPClient, budget: any RequestBudget, clock: FeedClock = .system,
        configuration: Configuration = Configuration(),
        observe: @escaping @Sendable (FeedObservation) -> Void = { _ in }
    ) {
        self.baseURL = baseURL.hasSuffix("/") ? String(baseURL.dropLast()) : baseURL
        self.http = http
        self.budget = budget
        self.clock = clock
        self.configuration = configuration
        self.observe = observe
        gate = RequestGate(clock: clock)
        jitter = JitterSource(seed: configuration.seed)
    }

    /// The REST API's part of ``klines(_:isolation:handle:)``.
    func restKlines(
        _ range: KlineRange, isolation: isolated (any Actor)? = #isolation,
        handle: (KlinePage) async throws -> Void
    ) async throws {
        let first = range.firstOpenTime
        guard first < range.closedEnd else { return }
        let fetcher = KlineFetcher(feed: self, range: range)
        var page = try await fetcher.page(from: first)
        while let nextStart = page.nextStart {
            async let next = fetcher.page(from: nextStart)
            try await handle(page)
            page = try await next
        }
        try await handle(page)
    }

    /// The REST API's part of ``trades(_:after:isolation:handle:)``.
    func restTrades(
        _ range: TradeRange, after lastID: Int64?, isolation: isolated (any Actor)? = #isolation,
        handle: (TradePage) async throws -> Void
    ) async throws {
        guard range.from < range.end else { return }
        let fetcher = TradeFetcher(feed: self, range: range)
        var first: TradePage?
        if let lastID {
            first = try await fetcher.page(from: lastID + 1)
        } else {
            first = try await fetcher.firstPage()
        }
        guard var page = first else { return }
        while let nextID = page.nextID {
            async let next = fetcher.page(from: nextID)
            try await handle(page)
            page = try await next
        }
        try await handle(page)
    }
}
