import Synchronization

/// How often and how long the feed tries for one page.
package struct FeedRetryPolicy: Sendable, Equatable {
    /// Tries after broken connections, time-outs, 5xx and unreadable answers.
    package var attemptMax = 8
    package var backoffInitial = Duration.milliseconds(200)
    package var backoffMax = Duration.seconds(30)
    /// All tries and back-offs of one page together; waits the exchange asks for do not count.
    package var totalMax = Duration.seconds(300)
    /// A longer Retry-After ends the read with `rateLimited`.
    package var retryAfterMax = Duration.seconds(600)
    /// Answers 429 and 418 for one page; one more ends the read with `rateLimited`.
    package var refusalMax = 20
    /// Added to every Retry-After: the exchange's clock and ours need not tick together.
    package var retryAfterMargin = Duration.milliseconds(250)

    package init() {}

    /// The wait after the attempt of that number (from 1): doubled each time, then cut by up to half.
    ///
    /// The cut is random so that loaders that failed together do not come back together.
    func backoff(afterAttempt attempt: Int, jitter: Double) -> Duration {
        let full = min(backoffInitial * (1 << min(max(attempt - 1, 0), 20)), backoffMax)
        return full * (1 - jitter / 2)
    }
}

/// Random numbers in `0 ..< 1` from a seed, for jitter: a test that knows the seed knows the waits.
final class JitterSource: Sendable {
    private let state: Mutex<UInt64>

    init(seed: UInt64) {
        state = Mutex(seed)
    }

    func next() -> Double {
        state.withLock { state in
            // SplitMix64: one addition and two multiplications mix a counter well enough to spread waits.
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return Double((mixed ^ (mixed >> 31)) >> 11) / 9_007_199_254_740_992
        }
    }
}
