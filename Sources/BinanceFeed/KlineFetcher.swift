import MarketData
import Synchronization

/// The longest range the exchange has taken, once it refused a longer one; shared by a read's pages.
final class LookupSpan: Sendable {
    private let milliseconds = Mutex<Int64?>(nil)

    func end(from start: Int64, to end: Int64) -> Int64 {
        milliseconds.withLock { $0 }.map { min(end, start + $0) } ?? end
    }

    func shorten(to span: Int64) {
        milliseconds.withLock { $0 = min($0 ?? .max, span) }
    }
}

/// Gets one page of klines.
struct KlineFetcher: Sendable {
    let feed: BinanceFeed
    let range: KlineRange
    private let span = LookupSpan()

    init(feed: BinanceFeed, range: KlineRange) {
        self.feed = feed
        self.range = range
    }

    /// - Parameter start: open time of the first candle wanted.
    /// - Throws: ``FeedError``, or `CancellationError`.
    func page(from start: Int64) async throws -> KlinePage {
        while true {
            // Rows at or after the end are not asked for; it moves down when the exchange wants shorter ranges.
            let end = span.end(from: start, to: range.closedEnd)
            let request = request(from: start, to: end)
            let answer = try await PageFetcher(feed: feed).fetch(request) { body throws(ScanFailure) in
                let table = try KlineScanner.scan(body)
                return try KlinePage(bytes: body, table: table, of: range, start: start, end: end)
            }
            switch answer {
            case .page(let page): return page
            case .tooLong(let refusal): try split(request, from: start, to: end, refusal)
            }
        }
    }

    private func request(from start: Int64, to end: Int64) -> PageRequest {
        PageRequest(
            target: "/api/v3/klines?symbol=\(range.symbol)&interval=\(range.interval.rawValue)"
                + "&startTime=\(start)&endTime=\(end - 1)&limit=\(feed.configuration.pageRowsMax)",
            weight: feed.configuration.klinesWeight,
            operation: "klines \(range.symbol) \(range.interval.rawValue) from \(start)")
    }

    /// Halves the range asked for; a single candle cannot be split.
    private func split(
        _ request: PageRequest, from start: Int64, to end: Int64, _ refusal: ExchangeRefusal
    ) throws(FeedError) {
        let middle = range.interval.openTime(containing: start + (end - start) / 2)
        guard middle > start, middle < end else {
            throw request.error(.refused, "a single candle is too long a range", refusal)
        }
        span.shorten(to: middle - start)
    }
}
