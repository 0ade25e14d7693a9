import Synchronization

/// How many requests may be sent: `perSecond` on average, `burst` at once. Pure: the time is a parameter.
package struct TokenBucket: Sendable {
    package let perSecond: Double
    package let burst: Double
    private var tokens: Double
    private var at: Duration
    /// The server asked to be left alone until then.
    private var heldUntil: Duration?

    /// - Parameter now: time since some fixed moment, here and in every call.
    package init(perSecond: Double, burst: Double, now: Duration) {
        self.perSecond = perSecond
        self.burst = burst
        tokens = burst
        at = now
    }

    /// Takes a place in the line.
    ///
    /// - Returns: how long to wait before sending; zero when there is room at once.
    package mutating func take(now: Duration) -> Duration {
        tokens = min(burst, tokens + max((now - at).inSeconds, 0) * perSecond)
        at = max(at, now)
        // Below zero: those who wait in line.
        tokens -= 1
        let inLine = tokens >= 0 ? Duration.zero : .seconds(-tokens / perSecond)
        return max(inLine, heldUntil.map { $0 - now } ?? .zero)
    }

    /// Gives back a place that was not used.
    package mutating func giveBack() { tokens = min(burst, tokens + 1) }

    /// Lets nobody send for so long; a longer pause in force stays.
    package mutating func hold(_ pause: Duration, now: Duration) {
        heldUntil = max(heldUntil ?? .zero, now + pause)
    }
}

/// A ``TokenBucket`` that everybody who sends waits at.
final class RequestPace: Sendable {
    private let started = ContinuousClock.now
    private let bucket: Mutex<TokenBucket>

    /// Longer than this a server's `Retry-After` is not believed.
    static let holdMax = Duration.seconds(60)

    init(perSecond: Double, burst: Double) {
        bucket = Mutex(TokenBucket(perSecond: perSecond, burst: burst, now: .zero))
    }

    /// - Throws: `CancellationError`.
    func waitForTurn() async throws {
        let wait = bucket.withLock { $0.take(now: ContinuousClock.now - started) }
        guard wait > .zero else { return }
        do {
            try await Task.sleep(for: wait)
        } catch {
            bucket.withLock { $0.giveBack() }
            throw error
        }
    }

    func hold(_ pause: Duration) {
        bucket.withLock { $0.hold(min(pause, Self.holdMax), now: ContinuousClock.now - started) }
    }
}

extension Duration {
    package var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
