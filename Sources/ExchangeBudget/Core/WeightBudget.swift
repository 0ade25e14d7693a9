import Workflow

/// The exchange's request weight, shared by all loaders that go out by one address: events in, actions out.
///
/// The exchange counts per address in windows of its own clock. In each window, what is granted never adds up to
/// more than the limit's usable share, less what somebody else uses behind the same address:
///
///     granted to all + what may still arrive late from the window before + used by others <= usable
///
/// Used by others is the exchange's highest count less what each of our loaders had used when it read a count: those
/// are not higher, so all of that is in it. So a count higher than ours is believed at once. A grant ends with its window, and so what a lost loader held comes back then.
/// Time is a parameter: milliseconds of one clock, which need not agree with the exchange's (``ServerClock``).
package struct WeightBudget: Sendable, Equatable {
    package struct Limits: Sendable, Equatable {
        /// Weight a window that the exchange allows the address.
        package var weightMax = 6_000
        /// So much of it is granted. The rest is for requests that were counted in another window than it seemed,
        /// and for programs behind the same address that spend between two answers.
        package var usableShare = 0.9
        /// Weight one loader may have sent and not answered.
        package var inFlightMax = 20
        /// A loader that did not ask again by then is not waited for.
        package var patience: Int64 = 3_000
        /// How often to ask again while something may come free before the window ends.
        package var recheck: Int64 = 1_000
        /// The longest wait before asking again, whatever is waited for.
        package var recheckMax: Int64 = 30_000
        /// How long the first request of all may take before another loader tries.
        package var probe: Int64 = 5_000
        /// A grant ends so long before its window does: the way to the exchange.
        package var margin: Int64 = 50

        package init() {}

        package var usable: Int { max(1, Int(Double(weightMax) * usableShare)) }
    }

    /// What is known of the exchange's counting.
    package enum Metering: String, Sendable, CaseIterable {
        /// No answer yet.
        case unknown
        /// Answers bring data and no count: there is no limit to be kept.
        case unmetered
        case metered
    }

    /// One loader, as the budget sees it.
    package struct Holder: Sendable, Equatable {
        /// Granted in the present window.
        package var granted = 0
        /// Known to be counted by the exchange in the present window.
        package var answered = 0
        /// As much of it when it read the exchange's count last.
        package var answeredAtReading = 0
        /// Booked in the window before, and counted in this one at the worst.
        package var late = 0
        package var want = 0
        package var least = 0
        /// Since when it waits for weight; nil while it has some.
        package var waitingSince: Int64?
        /// Until then it is expected back and its share is kept for it.
        package var activeUntil: Int64 = 0
        package var seenAt: Int64 = 0

        package init() {}
    }

    package var limits: Limits
    package var metering = Metering.unknown
    package var clock: ServerClock?
    package var windowSeconds: Int64 = 60
    /// The exchange's window that all counts are about.
    package var window: Int64?
    /// The exchange's highest count in it.
    package var reported = 0
    package var stay: BudgetStay?
    /// Who asks the exchange for the first time, and until when that is waited for.
    package var probeBy: String?
    package var probeUntil: Int64 = 0
    package var holders: [String: Holder] = [:]

    package init(_ limits: Limits = Limits()) {
        self.limits = limits
    }

    /// What of the window is used or promised.
    package var committed: Int {
        holders.values.reduce(usedByOthers) { $0 + $1.granted + $1.late }
    }

    /// What others use of the window behind the same address, by the exchange's count.
    package var usedByOthers: Int {
        max(0, holders.values.reduce(reported) { $0 - $1.answeredAtReading })
    }

    /// The only way in. Late and repeated events are harmless: what is told are totals.
    package mutating func apply(_ event: BudgetEvent, from name: String, now: Int64) -> BudgetAction {
        advance(to: now)
        switch event {
        case .asked(let want, let least): return ask(name, want: max(want, least), least: least, now: now)
        case .answered(let report): learn(report, from: name, now: now)
        case .refused(let kind, let wait): refuse(kind, until: now + max(0, wait))
        case .left(let unspent): leave(name, unspent)
        }
        return .ignore
    }

    /// Turns the window when it is over for certain, and forgets what has run out.
    package mutating func advance(to now: Int64) {
        if let stay, stay.until <= now { self.stay = nil }
        if let known = clock, known.width(at: now) >= windowSeconds * 1_000 * 3 / 4 {
            // Too vague to tell one window from the next: better learned anew.
            clock = nil
            metering = .unknown
        }
        guard let clock else { return }
        let length = windowSeconds * 1_000
        // The exchange's clock was set back: the window we count for lies in the future.
        if let window, clock.latest(at: now) / length < window { self.window = nil }
        turn(to: clock.earliest(at: now) / length, now: now)
    }

    private mutating func turn(to new: Int64, now: Int64) {
        guard new > window ?? .min else { return }
        let isNext = window.map { new == $0 + 1 } ?? false
        for (name, holder) in holders {
            var holder = holder
            // Nothing that was booked in a window is sent after it, but what is on its way may arrive after it.
            let open = min(holder.granted, max(0, holder.granted + holder.late - holder.answered))
            holder.late = isNext ? min(open, limits.inFlightMax) : 0
            holder.granted = 0
            holder.answered = 0
            holder.answeredAtReading = 0
            holders[name] = holder.late == 0 && holder.activeUntil <= now ? nil : holder
        }
        window = new
        reported = 0
    }

    private mutating func learn(_ report: BudgetReport, from name: String, now: Int64) {
        if let sample = report.clock {
            if clock?.learn(sample) == nil { clock = sample }
        }
        if let seconds = report.windowSeconds, seconds > 0, seconds != windowSeconds {
            windowSeconds = seconds
            // Numbers of windows of another length mean nothing; what was granted still counts.
            window = report.window
        }
        if let told = report.window { turn(to: told, now: now) }
        advance(to: now)
        var holder = holders[name] ?? Holder()
        let unansweredLate = report.unanswered.reduce(0) { $0 + ($1.key < window ?? .min ? $1.value : 0) }
        if let window, report.window == window {
            holder.answered = max(holder.answered, report.answered)
            holder.late = unansweredLate + report.lateAnswered
            holder.granted = max(holder.granted, holder.answered - holder.late)
        } else {
            holder.late = min(holder.late, unansweredLate)
        }
        holder.seenAt = now
        if report.isUnmetered, metering == .unknown { metering = .unmetered }
        if let reading = report.reading, report.window == window {
            metering = .metered
            reported = max(reported, reading.used)
            holder.answeredAtReading = max(holder.answeredAtReading, reading.answered)
        }
        holders[name] = holder
    }

    private mutating func refuse(_ kind: BudgetStay.Kind, until: Int64) {
        guard let stay else {
            stay = BudgetStay(kind, until: until)
            return
        }
        // A 429 during a ban does not end it.
        self.stay = BudgetStay(
            stay.kind == .ban || kind == .ban ? .ban : .backOff, until: max(stay.until, until))
    }

    private mutating func leave(_ name: String, _ unspent: BudgetRest?) {
        guard var holder = holders[name] else { return }
        if probeBy == name { probeUntil = 0 }
        if let unspent, unspent.window == window {
            holder.granted = max(0, holder.granted - unspent.weight)
        }
        holder.want = 0
        holder.least = 0
        holder.waitingSince = nil
        holder.activeUntil = 0
        holders[name] = holder.granted + holder.late == 0 ? nil : holder
    }
}
