import Synchronization

/// Where the feed asks before it spends request weight, and tells what the exchange said.
///
/// The limit is the address's, not the process's: a budget may be shared by processes. ``local(_:)`` is the
/// one of a single process; it sees the others through the exchange's own count.
package struct WeightBudget: Sendable {
    /// Waits until `weight` may be spent; throws `CancellationError` when the task is cancelled meanwhile.
    package var spend: @Sendable (_ weight: Int) async throws -> Void
    /// Learns from an answer.
    package var learn: @Sendable (WeightReading) -> Void

    package init(
        spend: @escaping @Sendable (_ weight: Int) async throws -> Void,
        learn: @escaping @Sendable (WeightReading) -> Void
    ) {
        self.spend = spend
        self.learn = learn
    }

    /// Never waits.
    package static let unlimited = WeightBudget(spend: { _ in }, learn: { _ in })

    package struct LocalLimits: Sendable, Equatable {
        /// Weight a window that the exchange allows the address.
        package var weightMax = 6_000
        /// So much of it is used; the rest is room for processes that have not seen the last count yet.
        package var usableShare = 0.9

        package init() {}
    }

    /// A budget that follows the exchange's count and waits for the next window before the limit is reached.
    package static func local(_ limits: LocalLimits = LocalLimits(), clock: FeedClock = .system)
        -> WeightBudget
    {
        let meter = Mutex(WeightMeter(usableMax: Int(Double(limits.weightMax) * limits.usableShare)))
        return WeightBudget(
            spend: { weight in
                while let wait = meter.withLock({ $0.spend(weight, now: clock.now()) }) {
                    try await clock.sleep(wait)
                }
            },
            learn: { reading in meter.withLock { $0.learn(reading, now: clock.now()) } })
    }
}

/// The exchange's count in one answer: header `X-MBX-USED-WEIGHT-1M: 42` and `Date`.
package struct WeightReading: Sendable, Equatable {
    package var usedWeight: Int
    /// Length of the window the count is for.
    package var windowSeconds: Int64
    /// Unix seconds of the exchange; its windows begin at multiples of their length.
    package var serverSeconds: Int64

    package init(usedWeight: Int, windowSeconds: Int64, serverSeconds: Int64) {
        self.usedWeight = usedWeight
        self.windowSeconds = windowSeconds
        self.serverSeconds = serverSeconds
    }
}

/// Decides when weight may be spent; time is a parameter.
struct WeightMeter: Sendable {
    let usableMax: Int
    /// Used in the present window as far as known: the exchange's last count and what was spent since.
    private var used = 0
    /// When the window of that count is surely over; nil before the first answer.
    private var windowEnd: Duration?
    private var window: Int64?

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

    mutating func learn(_ reading: WeightReading, now: Duration) {
        let window = reading.serverSeconds / reading.windowSeconds
        if let known = self.window, window < known { return }
        // Answers of one window may overtake each other: its count never goes down.
        used = self.window == window ? max(used, reading.usedWeight) : reading.usedWeight
        self.window = window
        let rest = (window + 1) * reading.windowSeconds - reading.serverSeconds
        // The Date header is cut to seconds, so the rest is at most this long.
        windowEnd = now + .seconds(rest) + .milliseconds(50)
    }
}
