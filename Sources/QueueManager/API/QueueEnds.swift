import ServiceLifecycle
import Synchronization
import Workflow

/// Requests that wait for the end of a queue.
package final class QueueEnds: Sendable {
    /// Another replica may have ended the queue: then nobody wakes us.
    private static let pollInterval = Duration.milliseconds(500)
    package static let waitersMax = 10_000

    private struct State {
        var waiters: [QueueID: [UInt64: Wakeups]] = [:]
        var count = 0
        var keys: UInt64 = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// Queues came to their end here.
    func announce(_ ids: [QueueID]) {
        let woken = state.withLock { state in ids.flatMap { state.waiters[$0].map { Array($0.values) } ?? [] }
        }
        for wakeups in woken { wakeups.signal() }
    }

    /// Returns when `isOver` says so, after `limit`, at shutdown or cancellation; whoever asks looks for itself.
    ///
    /// - Throws: ``RequestError`` when too many wait; what `isOver` throws.
    func wait(
        for id: QueueID, atMost limit: Duration, until isOver: @Sendable () async throws -> Bool
    ) async throws {
        let wakeups = Wakeups()
        guard let key = register(id, wakeups) else {
            throw RequestError(
                .rateLimited, "\(Self.waitersMax) requests wait already", hint: "Ask without wait_seconds")
        }
        defer { unregister(id, key) }
        let deadline = ContinuousClock.now + limit
        // Registered before the first look: an end in between is not missed.
        while try await !isOver(), ContinuousClock.now < deadline, !Task.isCancelled,
            !Task.isShuttingDownGracefully
        {
            await wakeups.wait(atMost: min(Self.pollInterval, deadline - .now))
        }
    }

    private func register(_ id: QueueID, _ wakeups: Wakeups) -> UInt64? {
        state.withLock { state in
            guard state.count < Self.waitersMax else { return nil }
            state.keys += 1
            state.count += 1
            state.waiters[id, default: [:]][state.keys] = wakeups
            return state.keys
        }
    }

    private func unregister(_ id: QueueID, _ key: UInt64) {
        state.withLock { state in
            guard state.waiters[id]?.removeValue(forKey: key) != nil else { return }
            state.count -= 1
            if state.waiters[id]?.isEmpty == true { state.waiters[id] = nil }
        }
    }
}
