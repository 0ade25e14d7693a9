import Synchronization
import Workflow

/// A budget that never waits.
package struct UnlimitedBudget: RequestBudget {
    package init() {}

    package func take(_ weight: Int, waiting: @Sendable (BudgetWait) -> Void) async throws -> BudgetTicket {
        BudgetTicket(weight: weight)
    }

    package func settle(_ ticket: BudgetTicket, _ answer: BudgetAnswer) {}
    package func close() async {}
}

/// The budget of a single process: it sees the others only through the exchange's own count.
///
/// It follows that count and waits for the next window before the limit is reached.
package final class LocalBudget: RequestBudget {
    package struct Limits: Sendable, Equatable {
        /// Weight a window that the exchange allows the address.
        package var weightMax = 6_000
        /// So much of it is used; the rest is room for processes that have not seen the last count yet.
        package var usableShare = 0.9

        package init() {}
    }

    private let meter: Mutex<WeightMeter>
    private let clock: FeedClock

    package init(_ limits: Limits = Limits(), clock: FeedClock = .system) {
        meter = Mutex(WeightMeter(usableMax: Int(Double(limits.weightMax) * limits.usableShare)))
        self.clock = clock
    }

    package func take(_ weight: Int, waiting: @Sendable (BudgetWait) -> Void) async throws -> BudgetTicket {
        while let wait = meter.withLock({ $0.spend(weight, now: clock.now()) }) {
            waiting(BudgetWait(.weight, wait, until: meter.withLock { $0.windowEndMilliseconds }))
            try await clock.sleep(wait)
        }
        return BudgetTicket(weight: weight, takenAt: clock.now())
    }

    package func settle(_ ticket: BudgetTicket, _ answer: BudgetAnswer) {
        meter.withLock { meter in
            if answer.outcome == .unsent { meter.giveBack(ticket.weight) }
            if let reading = answer.reading { meter.learn(reading, now: clock.now()) }
        }
    }

    package func close() async {}
}

/// Decides when weight may be spent; time is a parameter.
struct WeightMeter: Sendable {
    let usableMax: Int
    /// Used in the present window as far as known: the exchange's last count and what was spent since.
    private var used = 0
    /// When the window of that count is surely over; nil before the first answer.
    private var windowEnd: Duration?
    private var window: Int64?
    /// The same end by the exchange's clock, for people.
    private(set) var windowEndMilliseconds: Int64?

    init(usableMax: Int) {
        self.usableMax = usableMax
    }

    /// Books `weight` and returns nil, or how long to wait before asking again.
    mutating func spend(_ weight: Int, now: Duration) -> Duration? {
        if let windowEnd, now >= windowEnd {
            used = 0
            self.windowEnd = nil
        }
        // Alone in its window, any request is let through: otherwise one dearer than the limit never is.
        if used > 0, used + weight > usableMax, let windowEnd { return windowEnd - now }
        used += weight
        return nil
    }

    /// A request was not sent after all.
    mutating func giveBack(_ weight: Int) { used = max(0, used - weight) }

    mutating func learn(_ reading: WeightReading, now: Duration) {
        let window = reading.window
        if let known = self.window, window < known { return }
        // Answers of one window may overtake each other: its count never goes down.
        used = self.window == window ? max(used, reading.usedWeight) : reading.usedWeight
        self.window = window
        windowEndMilliseconds = (window + 1) * reading.windowSeconds * 1_000
        let rest = (window + 1) * reading.windowSeconds - reading.serverSeconds
        // The Date header is cut to seconds, so the rest is at most this long.
        windowEnd = now + .seconds(rest) + .milliseconds(50)
    }
}
