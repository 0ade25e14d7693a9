internal import Dispatch
internal import Synchronization

/// Lends connections to one database, at most `connectionsMax` at a time.
///
/// Connections are opened when needed and replaced when the server has ended them; callers wait in order.
package final class PostgresPool: Sendable {
    private typealias Grant = PoolGrant<PostgresConnection>
    private typealias Waiter = CheckedContinuation<Result<Grant, PostgresError>, Never>
    private typealias State = PoolState<PostgresConnection, Waiter>

    package let configuration: PostgresConfiguration
    let observe: PostgresObserver
    private let state: Mutex<State>

    /// Opens nothing yet.
    package init(_ configuration: PostgresConfiguration, observe: @escaping PostgresObserver = { _ in }) {
        self.configuration = configuration
        self.observe = observe
        state = Mutex(
            State(connectionsMax: configuration.connectionsMax, waitersMax: configuration.waitersMax))
    }

    /// Opens nothing yet.
    package convenience init(
        url: PostgresURL, connectionsMax: Int = 8, observe: @escaping PostgresObserver = { _ in }
    ) {
        self.init(PostgresConfiguration(url: url, connectionsMax: connectionsMax), observe: observe)
    }

    /// Lends a connection for the time of `body`; a transaction left open is rolled back.
    ///
    /// `body` and its child tasks run on the connection's thread unless an actor takes them elsewhere: while a
    /// statement runs they stand still, so leave what is to go on meanwhile outside.
    /// - Throws: ``PostgresError`` `poolExhausted` after `acquireTimeout` or when too many wait,
    ///   `connectFailed` when the server cannot be reached in that time, `closed`, `cancelled`; what `body`
    ///   throws.
    @discardableResult
    package func withConnection<R>(
        isolation: isolated (any Actor)? = #isolation,
        _ body: (PostgresConnection) async throws -> R
    ) async throws -> R {
        let deadline = acquireDeadline
        var connection = try await acquire(until: deadline)
        while true {
            // `body` calls the connection more than once: on its thread, so that none of these calls changes it.
            let value = try await withTaskExecutorPreference(connection.executor) { () async throws -> R? in
                guard await connection.checkUsable() else { return nil }
                do {
                    let value = try await body(connection)
                    await release(connection)
                    return value
                } catch {
                    await release(connection)
                    throw error
                }
            }
            if let value { return value }
            connection = try await replace(connection, until: deadline)
        }
    }

    /// Runs one statement on any connection.
    @discardableResult
    package func execute(_ query: PostgresQuery) async throws(PostgresError) -> PostgresResult {
        let deadline = acquireDeadline
        var connection = try await acquire(until: deadline)
        while true {
            let outcome = await withTaskExecutorPreference(connection.executor) {
                () async -> Result<PostgresResult, PostgresError>? in
                guard await connection.checkUsable() else { return nil }
                let outcome: Result<PostgresResult, PostgresError>
                do throws(PostgresError) {
                    outcome = .success(try await connection.execute(query))
                } catch {
                    outcome = .failure(error)
                }
                await release(connection)
                return outcome
            }
            if let outcome { return try outcome.get() }
            connection = try await replace(connection, until: deadline)
        }
    }

    /// Ends idle connections now and lent ones when they come back; those who wait get `closed`.
    package func close() async {
        let (idle, waiters) = state.withLock { $0.close() }
        for waiter in waiters { waiter.resume(returning: .failure(Self.closedError)) }
        for connection in idle { await connection.close() }
    }

    // MARK: Lending

    private static var cancelledError: PostgresError {
        PostgresError(.cancelled, operation: "take a connection", message: "the task was cancelled")
    }

    private static var closedError: PostgresError {
        PostgresError(.closed, operation: "take a connection", message: "the pool was closed")
    }

    private var acquireDeadline: ContinuousClock.Instant { .now + configuration.acquireTimeout }

    /// - Returns: a connection that was usable when it came back; the server may have ended it since.
    private func acquire(
        until deadline: ContinuousClock.Instant
    ) async throws(PostgresError) -> PostgresConnection {
        var next = state.withLock { $0.take() }
        if case .wait(let id) = next {
            switch try await wait(id: id, deadline: deadline) {
            case .use(let connection): next = .use(connection)
            case .open: next = .open
            case .closed: next = .closed
            }
        }
        switch next {
        case .use(let connection): return connection
        case .open: return try await open(deadline: deadline)
        case .refuse:
            throw PostgresError(
                .poolExhausted, operation: "take a connection",
                message: "\(configuration.waitersMax) callers wait already")
        case .closed, .wait: throw Self.closedError
        }
    }

    /// Opens another connection in the place of one that the server has ended.
    private func replace(
        _ ended: PostgresConnection, until deadline: ContinuousClock.Instant
    ) async throws(PostgresError) -> PostgresConnection {
        observe(.connectionReplaced(reason: "ended by the server"))
        await ended.close()
        guard ContinuousClock.now < deadline else {
            giveUpPlace()
            throw PostgresError(
                .connectFailed, operation: "take a connection",
                message: "the server ends its sessions as soon as they are open")
        }
        return try await open(deadline: deadline)
    }

    /// Waits until a connection or a place for one is ours.
    private func wait(id: UInt64, deadline: ContinuousClock.Instant) async throws(PostgresError) -> Grant {
        startTimer(id: id, deadline: deadline)
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { (waiter: Waiter) in
                let known: Result<Grant, PostgresError>? = state.withLock { state in
                    if Task.isCancelled { return .failure(Self.cancelledError) }
                    return state.enqueue(waiter, id: id).map { .success($0) }
                }
                if let known { waiter.resume(returning: known) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.removeWaiter(id) }
            waiter?.resume(returning: .failure(Self.cancelledError))
        }
        return try outcome.get()
    }

    /// Ends the wait at its limit. A timer of Dispatch, as it needs no task that outlives its caller; one
    /// that fires for a waiter served long ago finds nothing.
    private func startTimer(id: UInt64, deadline: ContinuousClock.Instant) {
        let left = max(0, ContinuousClock.now.duration(to: deadline).milliseconds)
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(Int(left))) { [weak self] in
            guard let self else { return }
            let (waiter, count) = self.state.withLock { ($0.removeWaiter(id), $0.waiterCount) }
            guard let waiter else { return }
            self.observe(.connectionWaitTimedOut(waiters: count))
            let limit = self.configuration.acquireTimeout
            waiter.resume(
                returning: .failure(
                    PostgresError(
                        .poolExhausted, operation: "take a connection",
                        message: "all \(self.configuration.connectionsMax) were in use for \(limit)")))
        }
    }

    /// Opens a connection in the place that is reserved for it; tries again with growing pauses while the
    /// server may only be starting.
    private func open(deadline: ContinuousClock.Instant) async throws(PostgresError) -> PostgresConnection {
        var backoff = configuration.backoffInitial
        var attempt = 1
        while true {
            do {
                return try await openOnce()
            } catch {
                observe(.connectFailed(error, attempt: attempt))
                let left = ContinuousClock.now.duration(to: deadline)
                guard error.isRetriable, left > backoff else {
                    giveUpPlace()
                    throw error
                }
            }
            do {
                try await Task.sleep(for: backoff)
            } catch {
                giveUpPlace()
                throw Self.cancelledError
            }
            backoff = min(backoff * 2, configuration.backoffMax)
            attempt += 1
        }
    }

    private func openOnce() async throws(PostgresError) -> PostgresConnection {
        let start = ContinuousClock.now
        let connection = try await PostgresConnection.open(configuration)
        await observe(.connected(processID: connection.processID, duration: start.duration(to: .now)))
        return connection
    }

    private func giveUpPlace() {
        state.withLock { $0.connectionEnded() }?.resume(returning: .success(.open))
    }

    private func release(_ connection: PostgresConnection) async {
        guard await connection.prepareForReturn() else {
            observe(.connectionReplaced(reason: "broken"))
            await connection.close()
            giveUpPlace()
            return
        }
        let (waiter, isClosed) = state.withLock { ($0.giveBack(connection), $0.isClosed) }
        if isClosed { await connection.close() }
        waiter?.resume(returning: .success(.use(connection)))
    }
}
