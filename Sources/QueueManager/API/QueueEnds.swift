import ServiceLifecycle
import Synchronization
import Workflow

/// Requests that wait for the end of a queue.
package final class QueueEnds: Sendable {
    /// Another replica may have ended the queue: then nobody wakes us.
    private static let pollInterval = Duration.milliseconds(500)
    package static let waitersMax = 10_000

    /// Somebody who waits, and whether the end was announced to him.
    private final class Waiter: Sendable {
        let wakeups = Wakeups()
        let isOver = Atomic(false)
    }

    private struct State {
        var waiters: [QueueID: [UInt64: Waiter]] = [:]
        var count = 0
        var keys: UInt64 = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// Queues came to their end here.
    func announce(_ ids: [QueueID]) {
        let woken = state.withLock { state in ids.flatMap { state.waiters[$0].map { Array($0.values) } ?? [] }
        }
        for waiter in woken {
            waiter.isOver.store(true, ordering: .releasing)
            waiter.wakeups.signal()
        }
    }

    /// Returns when the end was announced here or `isOver` says so, after `limit`, at shutdown or cancellation;
    /// whoever asks looks for itself.
    ///
    /// - Throws: ``RequestError`` when too many wait; what `isOver` throws.
    func wait(
        for id: QueueID, atMost limit: Duration, until isOver: @Sendable () async throws -> Bool
    ) async throws {
        let waiter = Waiter()
        guard let key = register(id, waiter) else {
            throw RequestError(
                .rateLimited, "\(Self.waitersMax) requests wait already", hint: "Ask without wait_seconds")
        }
        defer { unregister(id, key) }
        let deadline = ContinuousClock.now + limit
        // Registered before the first look: an end in between is not missed.
        while !waiter.isOver.load(ordering: .acquiring), try await !isOver(), ContinuousClock.now < deadline,
            !Task.isCancelled, !Task.isShuttingDownGracefully
        {
            await waiter.wakeups.wait(atMost: min(Self.pollInterval, deadline - .now))
        }
    }

    private func register(_ id: QueueID, _ waiter: Waiter) -> UInt64? {
        state.withLock { state in
            guard state.count < Self.waitersMax else { return nil }
            state.keys += 1
            state.count += 1
            state.waiters[id, default: [:]][state.keys] = waiter
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
