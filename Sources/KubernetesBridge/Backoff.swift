/// Waits that double from try to try, with chance in them so that clients do not come back together.
package struct Backoff: Sendable, Hashable {
    package var first: Duration
    package var longest: Duration
    package private(set) var failures = 0

    package init(first: Duration = .milliseconds(250), longest: Duration = .seconds(30)) {
        self.first = first
        self.longest = longest
    }

    /// How long to wait after one more failure.
    ///
    /// - Parameter draw: from 0 to 1, drawn at random by the caller: takes up to half of the wait away.
    package mutating func next(draw: Double) -> Duration {
        failures += 1
        // 2^20 times the first wait is beyond any longest one, and does not overflow.
        let full = min(first * (1 << min(failures - 1, 20)), longest)
        return full * (1 - min(max(draw, 0), 1) / 2)
    }

    package mutating func reset() { failures = 0 }
}
