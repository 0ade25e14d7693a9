/// Time as the feed needs it: a monotonic reading and a wait that ends at once when the task is cancelled.
package struct FeedClock: Sendable {
    /// Since an arbitrary moment; never goes back.
    package var now: @Sendable () -> Duration
    package var sleep: @Sendable (Duration) async throws -> Void

    package init(
        now: @escaping @Sendable () -> Duration, sleep: @escaping @Sendable (Duration) async throws -> Void
    ) {
        self.now = now
        self.sleep = sleep
    }

    package static var system: FeedClock {
        let start = ContinuousClock.now
        return FeedClock(
            now: { ContinuousClock.now - start }, sleep: { try await ContinuousClock().sleep(for: $0) })
    }
}
