@preconcurrency import Dispatch  // its timers are thread-safe but not marked so
import Synchronization

/// Wakes those who wait for "something happened", with a time limit and without a thread held.
///
/// A signal that comes while nobody waits is kept, so nothing is missed between looking and waiting.
final class Signal: Sendable {
    enum Outcome: Sendable { case signalled, timedOut, cancelled }

    private struct Waiter {
        var deadline: DispatchTime
        var continuation: CheckedContinuation<Outcome, Never>
    }

    private struct State {
        var isPending = false
        var nextID: UInt64 = 0
        var waiters: [UInt64: Waiter] = [:]
    }

    private let state = Mutex(State())
    private let timer: any DispatchSourceTimer

    init() {
        timer = DispatchSource.makeTimerSource(queue: .global())
        timer.setEventHandler { [weak self] in self?.expire() }
        timer.activate()
    }

    deinit { timer.cancel() }

    /// Called on any thread.
    func fire() {
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

    @discardableResult
    func wait(until deadline: DispatchTime) async -> Outcome {
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
                    schedule(state)
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
            waiter?.continuation.resume(returning: .cancelled)
        }
    }

    private func schedule(_ state: State) {
        guard let earliest = state.waiters.values.map(\.deadline).min() else { return }
        timer.schedule(deadline: earliest)
    }

    private func expire() {
        let expired = state.withLock { state -> [Waiter] in
            let now = DispatchTime.now()
            let ids = state.waiters.filter { $0.value.deadline <= now }.map(\.key)
            let expired = ids.compactMap { state.waiters.removeValue(forKey: $0) }
            schedule(state)
            return expired
        }
        for waiter in expired { waiter.continuation.resume(returning: .timedOut) }
    }
}
