import Synchronization

/// Says *look now* to a loop that else looks from time to time; many calls are one.
package final class Wakeups: Sendable {
    private struct State {
        var isPending = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
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

    package func signalHere() {
        let waiter = state.withLock { state in
            state.isPending = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Returns at the next signal (or at once when one came since the last wait), after `limit`, or when
    /// the task is cancelled. One waiter at a time.
    package func wait(atMost limit: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.waitForSignal() }
            // A cancelled sleep means the signal was first.
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
        state.withLock { $0.isPending = false }
    }

    private func waitForSignal() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.isPending || Task.isCancelled { return true }
                    state.waiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }?.resume()
        }
    }
}
