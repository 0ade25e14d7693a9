import Synchronization

/// How many more instances a pool may run; shared by the readers of all its targets.
final class PoolSlots: Sendable {
    private struct State {
        var free: Int
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    let limit: Int
    private let state: Mutex<State>

    init(_ limit: Int) {
        self.limit = limit
        state = Mutex(State(free: limit))
    }

    var used: Int { limit - state.withLock(\.free) }

    /// - Returns: how many were free of those asked for; give each back.
    func take(upTo count: Int) -> Int {
        state.withLock { state in
            let taken = min(max(count, 0), state.free)
            state.free -= taken
            return taken
        }
    }

    func give(_ count: Int = 1) {
        guard count > 0 else { return }
        wake { $0.free += count }
    }

    /// Returns when a slot may be free, or at the next ``pulse()``.
    func waitForFree() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.free > 0 { return true }
                state.waiters.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    /// Lets all who wait look around; called every so often for as long as anybody may wait.
    func pulse() { wake { _ in } }

    private func wake(_ change: (inout State) -> Void) {
        let waiters = state.withLock { state in
            change(&state)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
