import Dispatch
import ServiceRuntime

/// Says *look now* to a loop that else looks from time to time; many calls are one.
package final class Wakeups: Sendable {
    private let here = Signal()
    private let announce: @Sendable () -> Void

    /// - Parameter announce: tells those elsewhere whom a signal concerns too.
    package init(announce: @escaping @Sendable () -> Void = {}) {
        self.announce = announce
    }

    /// Here, and elsewhere.
    package func signal() {
        signalHere()
        announce()
    }

    package func signalHere() { here.fire() }

    /// Returns at the next signal (or at once when one came since the last wait), after `limit`, or when
    /// the task is cancelled. One waiter at a time.
    package func wait(atMost limit: Duration) async {
        let (seconds, attoseconds) = limit.components
        let nanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        await here.wait(until: .now() + .nanoseconds(Int(nanoseconds)))
    }
}
