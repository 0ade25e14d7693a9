import Synchronization

/// A value that is set once, from any thread, and awaited by any number of tasks.
final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        case empty([CheckedContinuation<Value, Never>])
        case fulfilled(Value)
    }

    private let state = Mutex(State.empty([]))

    /// Sets the value; a later call changes nothing.
    func fulfil(_ value: Value) {
        let waiters = state.withLock { state -> [CheckedContinuation<Value, Never>] in
            guard case .empty(let waiters) = state else { return [] }
            state = .fulfilled(value)
            return waiters
        }
        for waiter in waiters { waiter.resume(returning: value) }
    }

    /// Waits for the value. Cancellation does not end the wait: whoever owns the value must set it.
    func value() async -> Value {
        await withCheckedContinuation { continuation in
            let value = state.withLock { state -> Value? in
                switch state {
                case .empty(let waiters):
                    state = .empty(waiters + [continuation])
                    return nil
                case .fulfilled(let value):
                    return value
                }
            }
            if let value { continuation.resume(returning: value) }
        }
    }
}
