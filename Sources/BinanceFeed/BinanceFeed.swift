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

    /// Passes the closed candles of `range` to `handle`, page by page, oldest first.
    ///
    /// While `handle` works on a page, the next one is read: one page ahead and no more. The last page may
    /// have no rows, only holes. Pages already handled are final, so a caller that stops may go on later
    /// with `from` behind its last row.
    ///
    /// - Throws: ``FeedError``; `CancellationError` as soon as the task is cancelled, also during a wait;
    ///   or what `handle` throws.
    package func klines(
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

    /// Passes the trades of `range` to `handle`, page by page, by rising id, as ``klines(_:isolation:handle:)``
    /// does with candles.
    ///
    /// Pages go on by id, so that trades of one millisecond on both sides of a page's edge are neither lost nor
    /// doubled; only the first trade of the range is looked for by time.
    ///
    /// - Parameter lastID: the trade that was read last, to go on behind it; nil from the range's start.
    package func trades(
        _ range: TradeRange, after lastID: Int64? = nil, isolation: isolated (any Actor)? = #isolation,
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
