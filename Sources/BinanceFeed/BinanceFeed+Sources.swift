import MarketData

extension BinanceFeed {
    /// Passes the closed candles of `range` to `handle`, page by page, oldest first.
    ///
    /// While `handle` works on a page of the REST API, the next one is read: one page ahead and no more. The
    /// last page may have no rows, only holes. Pages already handled are final, so a caller that stops may go
    /// on later with `from` behind its last row, also from another source.
    ///
    /// - Throws: ``FeedError``; `CancellationError` as soon as the task is cancelled, also during a wait;
    ///   or what `handle` throws.
    package func klines(
        _ range: KlineRange, isolation: isolated (any Actor)? = #isolation,
        handle: (KlinePage) async throws -> Void
    ) async throws {
        // The archive cuts longer candles at the ends of its months; the API gives years of them at once.
        let length = range.interval.milliseconds ?? .max
        guard configuration.source != .rest, length <= CivilDate.millisecondsPerDay else {
            return try await restKlines(range, handle: handle)
        }
        var walk = CandleWalk(range, feed: self)
        try await walk.run(handle: handle)
    }

    /// Passes the trades of `range` to `handle`, page by page, by rising id, as
    /// ``klines(_:isolation:handle:)`` does with candles.
    ///
    /// Pages of the REST API go on by id, so that trades of one millisecond on both sides of a page's edge
    /// are neither lost nor doubled; only the first trade of the range is looked for by time.
    ///
    /// - Parameter last: the trade that was read last, to go on behind it; nil from the range's start.
    package func trades(
        _ range: TradeRange, after last: TradePosition? = nil, isolation: isolated (any Actor)? = #isolation,
        handle: (TradePage) async throws -> Void
    ) async throws {
        guard configuration.source != .rest else {
            return try await restTrades(range, after: last?.id, handle: handle)
        }
        var walk = TradeWalk(range, after: last, feed: self)
        try await walk.run(handle: handle)
    }
}

/// Where a read of trades stands.
package struct TradePosition: Sendable, Hashable {
    package var id: Int64
    /// Unix milliseconds.
    package var time: Int64

    package init(id: Int64, time: Int64) {
        self.id = id
        self.time = time
    }
}
