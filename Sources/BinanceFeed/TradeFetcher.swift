import MarketData

/// Gets one page of trades.
struct TradeFetcher: Sendable {
    let feed: BinanceFeed
    let range: TradeRange

    /// The page with the range's first trades.
    ///
    /// - Returns: nil when the exchange has no trade in the range.
    /// - Throws: ``FeedError``, or `CancellationError`.
    func firstPage() async throws -> TradePage? {
        switch range.kind {
        case .aggregate:
            let target = aggregates("&startTime=\(range.from)", rowsMax: feed.configuration.pageRowsMax)
            return try await page(target, .aggregate, firstID: nil)
        case .raw:
            // Raw trades cannot be asked for by time, but the aggregate that begins the range names its first fill.
            let target = aggregates("&startTime=\(range.from)", rowsMax: 1)
            let first = try await page(target, .aggregate, firstID: nil)
            guard first.rowCount > 0, let id = first.table.firstTradeIDs.first else { return nil }
            return try await page(from: id)
        }
    }

    func page(from id: Int64) async throws -> TradePage {
        switch range.kind {
        case .aggregate:
            let target = aggregates("&fromId=\(id)", rowsMax: feed.configuration.pageRowsMax)
            return try await page(target, .aggregate, firstID: id)
        case .raw:
            let request = PageRequest(
                target: "/api/v3/historicalTrades?symbol=\(range.symbol)&fromId=\(id)"
                    + "&limit=\(feed.configuration.pageRowsMax)",
                weight: feed.configuration.historicalTradesWeight,
                operation: "historicalTrades \(range.symbol) from id \(id)")
            return try await page(request, .raw, firstID: id)
        }
    }

    private func aggregates(_ start: String, rowsMax: Int) -> PageRequest {
        PageRequest(
            target: "/api/v3/aggTrades?symbol=\(range.symbol)\(start)&limit=\(rowsMax)",
            weight: feed.configuration.aggregateTradesWeight,
            operation: "aggTrades \(range.symbol) from \(start.dropFirst())")
    }

    private func page(
        _ request: PageRequest, _ kind: TradeKind, firstID: Int64?
    ) async throws -> TradePage {
        let answer = try await PageFetcher(feed: feed).fetch(request) { body throws(ScanFailure) in
            let table = try TradeScanner.scan(body, kind)
            return try TradePage(bytes: body, table: table, of: range, firstID: firstID)
        }
        switch answer {
        case .page(let page): return page
        case .tooLong(let refusal): throw request.error(.refused, "no range of time was asked for", refusal)
        }
    }
}
