import Synchronization

/// Whether this attempt may still write, by when a heartbeat last reached the broker.
///
/// The engine gives up an attempt when its lease ran out. A worker that could not deliver a heartbeat for two
/// thirds of the lease stops writing, so that it never writes beside its successor; it goes on when a
/// heartbeat gets through (design decision 2).
package final class LeaseState: Sendable {
    package let duration: Duration
    private let writeLimit: Duration
    private let now: @Sendable () -> ContinuousClock.Instant
    private let renewed: Mutex<ContinuousClock.Instant>

    /// - Parameter isRenewed: true counts as renewed now, for work that begins when `started` was delivered;
    ///   false lets the work begin before that, and write only after.
    package init(
        lease: Duration, isRenewed: Bool = true,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) {
        duration = lease
        writeLimit = lease * 2 / 3
        self.now = now
        renewed = Mutex(isRenewed ? now() : now() - lease)
    }

    package var mayWrite: Bool { now() - renewed.withLock { $0 } < writeLimit }

    /// An event that was handed over at `sent` is stored. Its way to the broker may have been long, so the
    /// lease counts from the sending.
    package func renew(sent: ContinuousClock.Instant) {
        renewed.withLock { $0 = max($0, sent) }
    }
}
