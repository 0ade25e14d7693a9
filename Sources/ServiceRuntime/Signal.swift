@preconcurrency import Dispatch  // its timers are thread-safe but not marked so
import Synchronization

/// Wakes those who wait for "something happened", with a time limit and without a thread held.
///
/// A signal that comes while nobody waits is kept, so nothing is missed between looking and waiting.
package final class Signal: Sendable {
    package enum Outcome: Sendable { case signalled, timedOut, cancelled }

    private struct Waiter {
        var deadline: DispatchTime
        var continuation: CheckedContinuation<Outcome, Never>
    }

    private struct State {
        var isPending = false
        var nextID: UInt64 = 0
        var waiters: [UInt64: Waiter] = [:]
        /// When the timer goes off; setting it wakes a thread of Dispatch, so it is set only to an earlier time.
        var timerSet: DispatchTime = .distantFuture
    }

    private let state = Mutex(State())
    private let timer: any DispatchSourceTimer

    package init() {
        timer = DispatchSource.makeTimerSource(queue: .global())
        timer.setEventHandler { [weak self] in self?.expire() }
        timer.activate()
    }

    deinit { timer.cancel() }

    /// Called on any thread.
    package func fire() {
        let waiters = state.withLock { state -> [UInt64: Waiter] in
            guard !state.waiters.isEmpty else {
                state.isPending = true
                return [:]
            }
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.continuation.resume(returning: .signalled) }
    }

    /// Waits until it is fired (or was since the last wait), until `deadline`, or until the task is cancelled.
    @discardableResult
    package func wait(until deadline: DispatchTime) async -> Outcome {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let known = state.withLock { state -> Outcome? in
                    // The flag is set before `onCancel` runs, so a cancellation is seen here or there.
                    if Task.isCancelled { return .cancelled }
                    if state.isPending {
                        state.isPending = false
                        return .signalled
                    }
                    if deadline <= .now() { return .timedOut }
                    state.waiters[id] = Waiter(deadline: deadline, continuation: continuation)
                    schedule(&state)
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
            waiter?.continuation.resume(returning: .cancelled)
        }
    }

    private func schedule(_ state: inout State) {
        guard let earliest = state.waiters.values.lazy.map(\.deadline).min(), earliest < state.timerSet
        else { return }
        state.timerSet = earliest
        timer.schedule(deadline: earliest)
    }

    private func expire() {
        let expired = state.withLock { state -> [Waiter] in
            state.timerSet = .distantFuture
            let now = DispatchTime.now()
            let ids = state.waiters.filter { $0.value.deadline <= now }.map(\.key)
            let expired = ids.compactMap { state.waiters.removeValue(forKey: $0) }
            schedule(&state)
            return expired
        }
        for waiter in expired { waiter.continuation.resume(returning: .timedOut) }
    }
}
