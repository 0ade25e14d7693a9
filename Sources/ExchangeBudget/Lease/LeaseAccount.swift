import Workflow

/// One loader's side of the shared budget: what it holds, what it has seen of the exchange, when to ask again.
///
/// Pure: time is a parameter, milliseconds of a clock that never jumps.
struct LeaseAccount: Sendable {
    struct Limits: Sendable, Equatable {
        /// The budget is asked about so often while weight is spent.
        var askEvery: Int64 = 1_000
        /// Pauses after the budget's store did not answer; doubled each time.
        var retryInitial: Int64 = 200
        var retryMax: Int64 = 5_000
        /// Weight that may be sent and not answered; the same as the budget's.
        var inFlightMax = WeightBudget.Limits().inFlightMax
        /// The first time so many requests are asked for; then at most twice as much each time.
        var requestsFirst = 4
        var wantMax = 100_000
    }

    enum Step: Sendable, Equatable {
        case go(BudgetTicket)
        case ask(LeaseRequest)
        case wait(BudgetWait)
    }

    private struct Lease {
        var window: Int64?
        var weight: Int
        var validUntil: Int64
    }

    private let limits: Limits
    private var lease: Lease?
    private var report = BudgetReport()
    /// The exchange's time by our own clock.
    private var clock: ServerClock?
    private var unansweredWithoutWindow = 0
    /// What the exchange asked of us and the budget has not heard.
    private var refusal: (kind: BudgetStay.Kind, until: Int64)?
    private var isRefusalUntold = false
    private var hold: (reason: BudgetWait.Reason, until: Int64, serverTime: Int64?)?
    private var askedAt: Int64?
    private var failures = 0
    private var spent = 0
    private var wantLast = 0

    init(_ limits: Limits = Limits()) {
        self.limits = limits
    }

    /// What to do before a request of `weight`; after `.ask` and `.wait`, ask again.
    mutating func take(_ weight: Int, now: Int64) -> Step {
        if let refusal, refusal.until > now {
            if isRefusalUntold, hold.map({ $0.until <= now }) ?? true {
                return .ask(request(weight, now: now))
            }
            let reason: BudgetWait.Reason = refusal.kind == .ban ? .ban : .backOff
            let again = isRefusalUntold ? hold?.until ?? refusal.until : refusal.until
            return wait(
                reason, until: min(again, refusal.until), serverTime: serverTime(refusal.until), now: now)
        }
        let unanswered = report.unanswered.values.reduce(unansweredWithoutWindow, +)
        if unanswered > 0, unanswered + weight > limits.inFlightMax {
            return wait(.inFlight, until: now + 5, serverTime: nil, now: now)
        }
        let mayAsk = hold.map { $0.until <= now } ?? true
        let isDue = askedAt.map { now - $0 >= limits.askEvery } ?? true
        if let lease, lease.validUntil > now, lease.weight >= weight, !(isDue && mayAsk) {
            return .go(book(weight, now: now))
        }
        if let hold, !mayAsk {
            return wait(hold.reason, until: hold.until, serverTime: hold.serverTime, now: now)
        }
        return .ask(request(weight, now: now))
    }

    private mutating func book(_ weight: Int, now: Int64) -> BudgetTicket {
        lease?.weight -= weight
        spent += weight
        let window = lease?.window
        if let window {
            report.unanswered[window, default: 0] += weight
        } else {
            unansweredWithoutWindow += weight
        }
        return BudgetTicket(
            weight: weight, takenAt: .milliseconds(now), window: window)
    }

    private func wait(
        _ reason: BudgetWait.Reason, until: Int64, serverTime: Int64?, now: Int64
    ) -> Step {
        .wait(BudgetWait(reason, .milliseconds(max(1, until - now)), until: serverTime))
    }

    private func serverTime(_ time: Int64) -> Int64? { clock.map { $0.latest(at: time) } }

    // MARK: What becomes of requests

    mutating func settle(_ ticket: BudgetTicket, _ answer: BudgetAnswer, now: Int64) {
        if let window = ticket.window {
            let rest = (report.unanswered[window] ?? 0) - ticket.weight
            report.unanswered[window] = rest > 0 ? rest : nil
        } else {
            unansweredWithoutWindow = max(0, unansweredWithoutWindow - ticket.weight)
        }
        let sentAt = ticket.takenAt.wholeMilliseconds
        if let seconds = answer.serverSeconds {
            let sample = ServerClock(serverSeconds: seconds, sentAt: sentAt, answeredAt: max(sentAt, now))
            if clock?.learn(sample) == nil { clock = sample }
        }
        switch answer.outcome {
        case .unsent:
            if lease?.window == ticket.window { lease?.weight += ticket.weight }
            spent -= ticket.weight
        case .unknown, .error: break
        case .data: if answer.reading == nil { report.isUnmetered = true }
        case .backOff(let wait): refused(.backOff, until: now + wait.wholeMilliseconds)
        case .banned(let wait): refused(.ban, until: now + wait.wholeMilliseconds)
        }
        if let reading = answer.reading { learn(reading, ticket) }
    }

    private mutating func refused(_ kind: BudgetStay.Kind, until: Int64) {
        refusal = (
            refusal?.kind == .ban && (refusal?.until ?? 0) > until ? .ban : kind,
            max(refusal?.until ?? 0, until)
        )
        isRefusalUntold = true
        lease = nil
        // The others must know at once.
        if hold?.reason != .storeAway { hold = nil }
    }

    private mutating func learn(_ reading: WeightReading, _ ticket: BudgetTicket) {
        let window = reading.window
        if window > report.window ?? .min || report.windowSeconds != reading.windowSeconds {
            report.window = window
            report.windowSeconds = reading.windowSeconds
            report.answered = 0
            report.lateAnswered = 0
            report.reading = nil
        }
        guard window == report.window else { return }
        report.answered += ticket.weight
        let isOfWindow = ticket.window == window
        if let booked = ticket.window, booked < window { report.lateAnswered += ticket.weight }
        // A request near a window's end may have been counted in the one before its Date's.
        let isFirstSecond = reading.serverSeconds % reading.windowSeconds == 0 && reading.windowSeconds > 1
        guard isOfWindow || (ticket.window == nil && !isFirstSecond) else { return }
        guard reading.usedWeight >= report.reading?.used ?? 0 else { return }
        report.reading = BudgetReport.Reading(used: reading.usedWeight, answered: report.answered)
    }

    // MARK: Asking the budget

    private mutating func request(_ weight: Int, now: Int64) -> LeaseRequest {
        let elapsed = max(1, now - (askedAt ?? now))
        let rate = Double(spent) / Double(elapsed)
        let most = max(weight * limits.requestsFirst, wantLast * 2)
        let want = max(weight * limits.requestsFirst, min(most, Int(rate * Double(limits.askEvery) * 1.5)))
        wantLast = min(want, limits.wantMax)
        let held = lease.map { $0.validUntil > now ? $0.weight : 0 } ?? 0
        var request = told(now: now)
        request.ask = LeaseRequest.Ask(want: max(weight, wantLast - held), least: weight)
        return request
    }

    /// The last words: it sends nothing more.
    func farewell(now: Int64) -> LeaseRequest {
        var request = told(now: now)
        if let lease, let window = lease.window {
            request.unspent = BudgetRest(window: window, weight: lease.weight)
        }
        return request
    }

    private func told(now: Int64) -> LeaseRequest {
        var request = LeaseRequest(report: report, clock: clock)
        if isRefusalUntold, let refusal, refusal.until > now {
            request.refusal = LeaseRequest.Refusal(kind: refusal.kind, milliseconds: refusal.until - now)
        }
        return request
    }

    /// - Parameters:
    ///   - told: what was asked.
    ///   - askedAt: before the question was sent: a time limit counts from there.
    mutating func received(_ action: BudgetAction, to told: LeaseRequest, askedAt: Int64) {
        self.askedAt = askedAt
        failures = 0
        spent = 0
        hold = nil
        if let sent = told.refusal, let refusal, askedAt + sent.milliseconds >= refusal.until {
            isRefusalUntold = false
        }
        switch action {
        case .ignore: break
        case .grant(let grant):
            let held = lease.map { $0.window == grant.window && $0.validUntil > askedAt ? $0.weight : 0 } ?? 0
            lease = Lease(
                window: grant.window, weight: held + grant.weight,
                validUntil: askedAt + grant.validMilliseconds)
        case .wait(let wait):
            hold = (wait.reason, askedAt + wait.milliseconds, wait.until)
            // What is held may be spent in a wait for more, not while the exchange wants nobody.
            if wait.reason == .ban || wait.reason == .backOff { lease = nil }
        }
    }

    /// The budget's store did not answer: what is held may still be spent.
    mutating func failed(now: Int64) {
        failures += 1
        let pause = min(limits.retryInitial << Int64(min(failures - 1, 10)), limits.retryMax)
        hold = (.storeAway, now + pause, nil)
    }
}

extension Duration {
    var wholeMilliseconds: Int64 {
        components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
    }
}
