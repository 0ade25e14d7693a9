/// Bounds of how far the exchange's clock is ahead of ours, learned from the `Date` of its answers.
///
/// Each answer says that the exchange's time was within its second at some moment between question and answer.
/// Many answers together narrow this to some milliseconds, whatever our own clock shows. Times are milliseconds;
/// "ours" is any clock that does not jump, or is noticed to have jumped by the next answer.
package struct ServerClock: Sendable, Equatable {
    /// The exchange's time minus ours, at least and at most, at ``at``.
    package var low: Int64
    package var high: Int64
    /// Our time of the last answer.
    package var at: Int64

    /// Clocks of two machines drift apart by less than this share.
    static let driftPerMillisecond = 0.000_1
    /// A server may write the `Date` from a note that it renews every second, a little late.
    static let dateLag: Int64 = 100

    package init(low: Int64, high: Int64, at: Int64) {
        self.low = low
        self.high = max(low, high)
        self.at = at
    }

    /// What one answer tells.
    ///
    /// - Parameters:
    ///   - serverSeconds: its `Date`, cut to seconds.
    ///   - sentAt: when the request was sent, or before.
    ///   - answeredAt: when the answer was there, or after.
    package init(serverSeconds: Int64, sentAt: Int64, answeredAt: Int64) {
        let start = serverSeconds * 1_000
        self.init(
            low: start - max(sentAt, answeredAt), high: start + 1_000 + Self.dateLag - sentAt, at: answeredAt)
    }

    /// The exchange's time at our `now`, at least.
    package func earliest(at now: Int64) -> Int64 { now + low - drift(until: now) }

    /// The exchange's time at our `now`, at most.
    package func latest(at now: Int64) -> Int64 { now + high + drift(until: now) }

    /// How much is not known at `now`.
    package func width(at now: Int64) -> Int64 { latest(at: now) - earliest(at: now) }

    /// Takes in what another answer told. When both cannot be true, a clock has jumped: the later one counts.
    package mutating func learn(_ sample: ServerClock) {
        let now = max(at, sample.at)
        let low = max(earliest(at: now), sample.earliest(at: now)) - now
        let high = min(latest(at: now), sample.latest(at: now)) - now
        self = low <= high ? ServerClock(low: low, high: high, at: now) : sample
    }

    /// The same by another clock of ours.
    ///
    /// - Parameters:
    ///   - reading: what the other clock showed at some moment between `from` and `to` of this one.
    package func seen(by reading: Int64, between from: Int64, and to: Int64) -> ServerClock {
        let now = max(from, to)
        return ServerClock(
            low: earliest(at: now) - now + from - reading, high: latest(at: now) - now + now - reading,
            at: reading)
    }

    private func drift(until now: Int64) -> Int64 {
        Int64(Double(max(0, now - at)) * Self.driftPerMillisecond)
    }
}
