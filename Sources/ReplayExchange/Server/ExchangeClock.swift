import Foundation

/// The exchange's present (which candles exist) and real time (limits, waits), apart from each other.
struct ExchangeClock: Sendable {
    private let start: Int64
    private let isMoving: Bool
    private let startedAt = ContinuousClock.now

    /// - Parameter start: the exchange's present at the start, Unix milliseconds.
    init(start: Int64, isMoving: Bool) {
        self.start = start
        self.isMoving = isMoving
    }

    /// The exchange's present, Unix milliseconds.
    var now: Int64 {
        guard isMoving else { return start }
        let (seconds, attoseconds) = (ContinuousClock.now - startedAt).components
        return start + seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }

    /// Wall-clock Unix milliseconds, which the limits' windows follow. The `Date` header does too, but is renewed by
    /// Hummingbird only once a second.
    var realTime: Int64 { Int64(Date().timeIntervalSince1970 * 1_000) }
}
