import ServiceLifecycle
import Synchronization

/// Gathers requests that come at the same time into one transaction: while one runs, the next gathers.
///
/// A transaction costs a disk's write whatever is in it, so under load many requests share it, and a single one
/// waits for nobody.
package final class GroupCommit<Request: Sendable, Response: Sendable>: Service {
    package typealias Commit = @Sendable ([Request]) async throws -> [Response]
    private typealias Waiter = CheckedContinuation<Response, any Error>

    private struct State {
        var waiting: [(request: Request, waiter: Waiter)] = []
        var isClosed = false
    }

    private let batchMax: Int
    private let waitingMax: Int
    private let commit: Commit
    private let state = Mutex(State())
    private let wakeups = Wakeups()

    /// - Parameters:
    ///   - batchMax: requests of one transaction.
    ///   - waitingMax: requests that may wait; more are refused.
    ///   - commit: answers each request, in order; when it throws every one of them gets the error.
    package init(batchMax: Int, waitingMax: Int, _ commit: @escaping Commit) {
        self.batchMax = batchMax
        self.waitingMax = waitingMax
        self.commit = commit
    }

    /// Waits until the request's transaction is committed.
    ///
    /// - Throws: ``GroupCommitError``, or what the transaction threw.
    package func submit(_ request: Request) async throws -> Response {
        try await withCheckedThrowingContinuation { waiter in
            let refusal = state.withLock { state -> GroupCommitError? in
                if state.isClosed { return .closed }
                if state.waiting.count >= waitingMax { return .busy(waiting: state.waiting.count) }
                state.waiting.append((request, waiter))
                return nil
            }
            if let refusal { waiter.resume(throwing: refusal) } else { wakeups.signal() }
        }
    }

    /// Commits until graceful shutdown; see ``runUntilClosed()``.
    package func run() async throws {
        await withGracefulShutdownHandler {
            await runUntilClosed()
        } onGracefulShutdown: {
            self.close()
        }
    }

    /// Commits until ``close()`` or cancellation; what waits at a close is still committed.
    package func runUntilClosed() async {
        while await turn() {}
        close()
        for (_, waiter) in take(.max) { waiter.resume(throwing: GroupCommitError.closed) }
    }

    /// Takes no more requests.
    package func close() {
        state.withLock { $0.isClosed = true }
        wakeups.signal()
    }

    /// - Returns: whether there may be more to do.
    private func turn() async -> Bool {
        let batch = take(batchMax)
        guard batch.isEmpty else {
            await commit(batch)
            return true
        }
        if state.withLock({ $0.isClosed }) || Task.isCancelled { return false }
        await wakeups.wait(atMost: .seconds(60))
        return true
    }

    private func commit(_ batch: [(request: Request, waiter: Waiter)]) async {
        do {
            let responses = try await commit(batch.map(\.request))
            for (index, entry) in batch.enumerated() {
                if index < responses.count {
                    entry.waiter.resume(returning: responses[index])
                } else {
                    entry.waiter.resume(throwing: GroupCommitError.closed)
                }
            }
        } catch {
            for entry in batch { entry.waiter.resume(throwing: error) }
        }
    }

    private func take(_ limit: Int) -> [(request: Request, waiter: Waiter)] {
        state.withLock { state in
            let batch = Array(state.waiting.prefix(limit))
            state.waiting.removeFirst(batch.count)
            return batch
        }
    }
}

/// Why a request was not taken into a transaction; nothing was written.
package enum GroupCommitError: Error, Sendable, Equatable, CustomStringConvertible {
    case busy(waiting: Int)
    case closed

    package var description: String {
        switch self {
        case .busy(let waiting): "\(waiting) requests wait already"
        case .closed: "it is shutting down"
        }
    }
}
