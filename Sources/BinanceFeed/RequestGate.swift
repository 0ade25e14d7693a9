import Synchronization

/// No request passes before the last Retry-After is over, whoever of this feed was told it.
final class RequestGate: Sendable {
    private let closedUntil = Mutex(Duration.zero)
    private let clock: FeedClock

    init(clock: FeedClock) {
        self.clock = clock
    }

    /// Closes the gate for `wait` from now; a later end stays.
    func close(for wait: Duration) {
        let end = clock.now() + wait
        closedUntil.withLock { $0 = max($0, end) }
    }

    var isOpen: Bool { closedUntil.withLock { $0 } <= clock.now() }

    /// Waits until the gate is open; throws `CancellationError` at once when the task is cancelled.
    func pass() async throws {
        while true {
            let rest = closedUntil.withLock { $0 } - clock.now()
            guard rest > .zero else { return }
            try await clock.sleep(rest)
        }
    }
}
