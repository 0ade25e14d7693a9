import HTTPBridge
import Workflow

/// One question to the exchange.
struct PageRequest: Sendable {
    /// Path and query, e.g. `/api/v3/klines?symbol=BTCUSDT&…`.
    var target: String
    /// Request weight the exchange counts for it.
    var weight: Int
    /// What is read, for errors, e.g. `klines BTCUSDT 5m from 1722470400000`.
    var operation: String

    func error(
        _ code: FeedError.Code, _ detail: String, _ refusal: ExchangeRefusal? = nil,
        _ retryAfter: Duration? = nil
    ) -> FeedError {
        FeedError(code, operation: operation, detail: detail, exchange: refusal, retryAfter: retryAfter)
    }
}

/// Gets one page, with everything it takes until it is there or known to be out of reach.
struct PageFetcher: Sendable {
    enum Answer<Page: Sendable>: Sendable {
        case page(Page)
        /// The exchange wants a shorter range (-1127).
        case tooLong(ExchangeRefusal)
    }

    let feed: BinanceFeed

    /// State of the tries for one page.
    private struct Tries {
        var attempt = 0
        var refusals = 0
        let began: Duration
        /// Waits that the exchange asked for; they do not count towards the total.
        var excused = Duration.zero
    }

    /// - Parameter scan: makes a page of an answer's body; what it refuses is asked for again.
    /// - Throws: ``FeedError``, or `CancellationError`.
    func fetch<Page: ExchangePage>(
        _ request: PageRequest, scan: ([UInt8]) throws(ScanFailure) -> Page
    ) async throws -> Answer<Page> {
        var tries = Tries(began: feed.clock.now())
        while true {
            let ticket = try await holdBack(&tries, request)
            let began = feed.clock.now()
            let (verdict, response, head) = try await ask(ticket, request)
            switch verdict {
            case .data:
                guard let response else { continue }
                do throws(ScanFailure) {
                    let page = try scan(response.body)
                    let duration = feed.clock.now() - began
                    feed.observe(
                        .pageRead(
                            rowCount: page.rowCount, duration: duration, usedWeight: head?.weight?.usedWeight)
                    )
                    for hole in page.holes { feed.observe(.holeFound(hole)) }
                    return .page(page)
                } catch let failure {
                    let detail = "at \(failure.offset): \(failure.reason)"
                    try await again(&tries, request.error(.corrupt, detail))
                }
            case .wait(let wait, let refusal):
                try stayAway(
                    &tries, wait, request.error(.rateLimited, "asked to wait \(wait)", refusal, wait))
                feed.observe(.limited(status: head?.status ?? 0, wait: wait))
            case .retry(let reason, let refusal):
                try await again(&tries, request.error(.unavailable, reason, refusal))
            case .split(let refusal):
                return .tooLong(refusal)
            case .refused(let reason, let refusal):
                throw request.error(.refused, reason, refusal)
            }
        }
    }

    /// Waits for the budget and the gate.
    ///
    /// The budget comes first: it tells other loaders of a refusal at once, not when our own wait is over.
    private func holdBack(_ tries: inout Tries, _ request: PageRequest) async throws -> BudgetTicket {
        let began = feed.clock.now()
        let budget = feed.budget
        do {
            var ticket = try await budget.take(request.weight) { feed.observe(.waiting($0)) }
            // Weight belongs to a window: what was booked before a wait is no good after it.
            while !feed.gate.isOpen {
                budget.settle(ticket, BudgetAnswer(.unsent))
                try await feed.gate.pass()
                ticket = try await budget.take(request.weight) { feed.observe(.waiting($0)) }
            }
            let wait = feed.clock.now() - began
            tries.excused += wait
            if wait > .milliseconds(1) { feed.observe(.heldBack(wait)) }
            return ticket
        } catch let failure as BudgetError {
            throw request.error(.rateLimited, failure.detail)
        }
    }

    private func ask(
        _ ticket: BudgetTicket, _ request: PageRequest
    ) async throws -> (AnswerVerdict, HTTPResponse?, AnswerHead?) {
        let configuration = feed.configuration
        let question = HTTPRequest(
            .get, feed.baseURL + request.target, headers: ["User-Agent": configuration.userAgent],
            timeouts: configuration.timeouts, acceptsGzip: feed.baseURL.hasPrefix("https:"))
        do throws(HTTPError) {
            let response = try await feed.http.execute(question, bodyBytesMax: configuration.bodyBytesMax)
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
