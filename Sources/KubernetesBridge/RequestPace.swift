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
    /// - Parameter waitMax: the longest wait that is worth it.
    /// - Returns: how long to wait before sending, zero when there is room at once; nil, and no place is taken, when
    ///   that were longer than `waitMax`.
    package mutating func take(now: Duration, waitMax: Duration) -> Duration? {
        tokens = min(burst, tokens + max((now - at).inSeconds, 0) * perSecond)
        at = max(at, now)
        // Below zero: those who wait in line.
        let inLine = tokens >= 1 ? Duration.zero : .seconds((1 - tokens) / perSecond)
        let wait = max(inLine, heldUntil.map { $0 - now } ?? .zero)
        guard wait <= waitMax else { return nil }
        tokens -= 1
        return wait
    }

    /// Gives back a place that was not used.
    package mutating func giveBack() { tokens = min(burst, tokens + 1) }

    /// Lets nobody send for so long; a longer pause in force stays.
    package mutating func hold(_ pause: Duration, now: Duration) {
        heldUntil = max(heldUntil ?? .zero, now + pause)
    }
}

/// What a request is for. Each purpose has a share of its own, so that none holds up another: a line of launches
/// does not blind the watches, and logs hold up no launch.
package enum RequestPurpose: Sendable, Hashable, CaseIterable {
    /// Objects: create, get, list, delete, patch.
    case work
    /// Lists and watches that keep a view up to date.
    case watch
    case log

    /// Of all requests a second.
    package var share: Double {
        switch self {
        case .work: 0.7
        case .watch: 0.1
        case .log: 0.2
        }
    }
}

/// A ``TokenBucket`` for each purpose, at which everybody who sends waits.
final class RequestPace: Sendable {
    private let started = ContinuousClock.now
    private let buckets: Mutex<[RequestPurpose: TokenBucket]>

    init(perSecond: Double, burst: Double) {
        var buckets: [RequestPurpose: TokenBucket] = [:]
        for purpose in RequestPurpose.allCases {
            // However slow the whole, a list and a watch go out at once.
            buckets[purpose] = TokenBucket(
                perSecond: max(perSecond * purpose.share, 0.1), burst: max(burst * purpose.share, 2),
                now: .zero)
        }
        self.buckets = Mutex(buckets)
    }

    /// - Returns: false, at once, when the wait were longer than `waitMax`: the line is bounded by the time that
    ///   those in it have.
    /// - Throws: `CancellationError`.
    func waitForTurn(_ purpose: RequestPurpose, waitMax: Duration) async throws -> Bool {
        let now = ContinuousClock.now - started
        let wait = buckets.withLock { $0[purpose]?.take(now: now, waitMax: waitMax) }
        guard let wait else { return false }
        guard wait > .zero else { return true }
        do {
            try await Task.sleep(for: wait)
        } catch {
            buckets.withLock { $0[purpose]?.giveBack() }
            throw error
        }
        return true
    }

    /// The server counts all requests together.
    func hold(_ pause: Duration) {
        let now = ContinuousClock.now - started
        buckets.withLock { buckets in
            for purpose in RequestPurpose.allCases {
                buckets[purpose]?.hold(pause, now: now)
            }
        }
    }
}

extension Duration {
    package var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
