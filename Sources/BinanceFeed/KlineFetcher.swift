import HTTPBridge
import MarketData
import Synchronization
import Workflow

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

/// Gets one page of klines, with everything it takes until it is there or known to be out of reach.
struct KlineFetcher: Sendable {
    let feed: BinanceFeed
    let range: KlineRange
    private let span = LookupSpan()

    init(feed: BinanceFeed, range: KlineRange) {
        self.feed = feed
        self.range = range
    }

    /// State of the tries for one page.
    private struct Tries {
        var attempt = 0
        var refusals = 0
        let began: Duration
        /// Waits that the exchange asked for; they do not count towards the total.
        var excused = Duration.zero
        /// Rows at or after this are not asked for; moves down when the exchange wants shorter ranges.
        var end: Int64
    }

    /// - Parameter start: open time of the first candle wanted.
    /// - Throws: ``FeedError``, or `CancellationError`.
    func page(from start: Int64) async throws -> KlinePage {
        var tries = Tries(began: feed.clock.now(), end: span.end(from: start, to: range.closedEnd))
        while true {
            let ticket = try await holdBack(&tries, start: start)
            let began = feed.clock.now()
            let (verdict, response, head) = try await ask(ticket, start: start, end: tries.end)
            switch verdict {
            case .data:
                guard let response else { continue }
                do throws(KlineScanner.Failure) {
                    let page = try scan(response.body, start: start, end: tries.end)
                    let duration = feed.clock.now() - began
                    feed.observe(
                        .pageRead(
                            rowCount: page.rowCount, duration: duration, usedWeight: head?.weight?.usedWeight)
                    )
                    for hole in page.holes { feed.observe(.holeFound(hole)) }
                    return page
                } catch let failure {
                    let detail = "at \(failure.offset): \(failure.reason)"
                    try await again(&tries, error(.corrupt, start, detail))
                }
            case .wait(let wait, let refusal):
                try stayAway(&tries, wait, error(.rateLimited, start, "asked to wait \(wait)", refusal, wait))
                feed.observe(.limited(status: head?.status ?? 0, wait: wait))
            case .retry(let reason, let refusal):
                try await again(&tries, error(.unavailable, start, reason, refusal))
            case .split(let refusal):
                try split(&tries, start: start, refusal)
            case .refused(let reason, let refusal):
                throw error(.refused, start, reason, refusal)
            }
        }
    }

    /// Waits for the budget and the gate.
    ///
    /// The budget comes first: it tells other loaders of a refusal at once, not when our own wait is over.
    private func holdBack(_ tries: inout Tries, start: Int64) async throws -> BudgetTicket {
        let began = feed.clock.now()
        let budget = feed.budget
        do {
            var ticket = try await budget.take(feed.configuration.klinesWeight) { feed.observe(.waiting($0)) }
            // Weight belongs to a window: what was booked before a wait is no good after it.
            while !feed.gate.isOpen {
                budget.settle(ticket, BudgetAnswer(.unsent))
                try await feed.gate.pass()
                ticket = try await budget.take(feed.configuration.klinesWeight) { feed.observe(.waiting($0)) }
            }
            let wait = feed.clock.now() - began
            tries.excused += wait
            if wait > .milliseconds(1) { feed.observe(.heldBack(wait)) }
            return ticket
        } catch let failure as BudgetError {
            throw error(.rateLimited, start, failure.detail)
        }
    }

    private func ask(
        _ ticket: BudgetTicket, start: Int64, end: Int64
    ) async throws -> (AnswerVerdict, HTTPResponse?, AnswerHead?) {
        let configuration = feed.configuration
        let url =
            "\(feed.baseURL)/api/v3/klines?symbol=\(range.symbol)&interval=\(range.interval.rawValue)"
            + "&startTime=\(start)&endTime=\(end - 1)&limit=\(configuration.pageRowsMax)"
        let request = HTTPRequest(
            .get, url, headers: ["User-Agent": configuration.userAgent], timeouts: configuration.timeouts,
            acceptsGzip: feed.baseURL.hasPrefix("https:"))
        do throws(HTTPError) {
            let response = try await feed.http.execute(request, bodyBytesMax: configuration.bodyBytesMax)
            let head = AnswerHead(response)
            let verdict = AnswerVerdict(response, head: head)
            feed.budget.settle(
                ticket, BudgetAnswer(verdict, head, margin: configuration.retry.retryAfterMargin))
            return (verdict, response, head)
        } catch {
            feed.budget.settle(ticket, BudgetAnswer(.unknown))
            if error.code == .cancelled || Task.isCancelled { throw CancellationError() }
            return (AnswerVerdict(error), nil, nil)
        }
    }

    private func scan(
        _ body: [UInt8], start: Int64, end: Int64
    ) throws(KlineScanner.Failure) -> KlinePage {
        let table = try KlineScanner.scan(body)
        return try KlinePage(bytes: body, table: table, of: range, start: start, end: end)
    }

    /// Backs off, or throws `error` when attempts or time are used up.
    private func again(_ tries: inout Tries, _ error: FeedError) async throws {
        let policy = feed.configuration.retry
        tries.attempt += 1
        let wait = policy.backoff(afterAttempt: tries.attempt, jitter: feed.jitter.next())
        let spent = feed.clock.now() - tries.began - tries.excused
        guard tries.attempt < policy.attemptMax, spent + wait <= policy.totalMax else { throw error }
        feed.observe(.retried(attempt: tries.attempt, reason: error.detail, wait: wait))
        try await feed.clock.sleep(wait)
    }

    /// Closes the gate, or throws `error` when the wait or the number of refusals is too large.
    private func stayAway(_ tries: inout Tries, _ wait: Duration, _ error: FeedError) throws(FeedError) {
        let policy = feed.configuration.retry
        // Closed first: also pages read at the same time must keep away.
        feed.gate.close(for: wait + policy.retryAfterMargin)
        tries.refusals += 1
        guard tries.refusals <= policy.refusalMax, wait <= policy.retryAfterMax else { throw error }
    }

    /// Halves the range asked for; a single candle cannot be split.
    private func split(_ tries: inout Tries, start: Int64, _ refusal: ExchangeRefusal) throws(FeedError) {
        let middle = range.interval.openTime(containing: start + (tries.end - start) / 2)
        guard middle > start, middle < tries.end else {
            throw error(.refused, start, "a single candle is too long a range", refusal)
        }
        tries.end = middle
        span.shorten(to: middle - start)
    }

    private func error(
        _ code: FeedError.Code, _ start: Int64, _ detail: String, _ refusal: ExchangeRefusal? = nil,
        _ retryAfter: Duration? = nil
    ) -> FeedError {
        FeedError(
            code, operation: "klines \(range.symbol) \(range.interval.rawValue) from \(start)",
            detail: detail, exchange: refusal, retryAfter: retryAfter)
    }
}

extension BudgetAnswer {
    /// - Parameter margin: added to what the exchange asks for, as it is for this process itself.
    init(_ verdict: AnswerVerdict, _ head: AnswerHead, margin: Duration) {
        let outcome: Outcome =
            switch verdict {
            case .data: .data
            case .wait(let wait, _): head.status == 418 ? .banned(wait + margin) : .backOff(wait + margin)
            case .retry, .split, .refused: .error
            }
        self.init(outcome, reading: head.weight, serverSeconds: head.serverSeconds)
    }
}
