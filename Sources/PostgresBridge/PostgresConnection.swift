internal import CPQ
internal import ServiceRuntime

/// One connection, lent by a ``PostgresPool`` for the time of a closure: do not keep it longer.
///
/// Its calls run one after the other on a thread of its own. A cancelled task's statement is stopped on the
/// server, and the connection stays usable.
package actor PostgresConnection {
    private enum State {
        case ready
        case copying(operation: String)
        /// Broken or closed; the reason.
        case ended(PostgresError)
    }

    /// A task that prefers it changes no thread to call this connection.
    let executor: QueueExecutor
    private let configuration: PostgresConfiguration
    private let cancelSignal: CancelSignal
    private var handle: ConnectionHandle?
    private var cache: StatementCache
    private var state = State.ended(
        PostgresError(.closed, operation: "use a connection", message: "not connected yet"))
    private var hasOwnTimeout = false
    /// A transaction's `BEGIN`, which goes out with its first statements: a round trip less.
    private var pendingBegin: PostgresQuery?
    /// The transaction's `COMMIT` went out with its last statements.
    private var isCommitted = false

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// Opens a connection of its own, beside any pool; it ends when the last reference to it goes or with
    /// ``close()``.
    ///
    /// - Throws: ``PostgresError`` `connectFailed` after `configuration.connectTimeout`, or `cancelled`.
    package static func open(
        _ configuration: PostgresConfiguration
    ) async throws(PostgresError) -> PostgresConnection {
        let connection = try PostgresConnection(configuration)
        try await connection.connect()
        return connection
    }

    init(_ configuration: PostgresConfiguration) throws(PostgresError) {
        self.configuration = configuration
        executor = QueueExecutor(label: "postgres-connection")
        cancelSignal = try CancelSignal()
        cache = StatementCache(entriesMax: configuration.preparedStatementsMax)
    }

    /// The server process that works for this connection; 0 when there is none.
    package var processID: Int32 { handle?.processID ?? 0 }

    /// Runs one statement.
    ///
    /// - Throws: ``PostgresError``.
    @discardableResult
    package func execute(_ query: PostgresQuery) async throws(PostgresError) -> PostgresResult {
        let results = try await pipeline([query])
        guard let result = results.first else { preconditionFailure("a statement has an outcome") }
        return try result.get()
    }

    /// Runs statements in one round trip, in order; outside of a transaction they are one.
    ///
    /// - Throws: ``PostgresError`` of the first that failed; then none took effect (in a transaction: the
    ///   transaction has failed).
    @discardableResult
    package func execute(_ queries: [PostgresQuery]) async throws(PostgresError) -> [PostgresResult] {
        let outcomes = try await pipeline(queries)
        if let error = Self.firstError(outcomes) { throw error }
        var results: [PostgresResult] = []
        results.reserveCapacity(outcomes.count)
        for outcome in outcomes { results.append(try outcome.get()) }
        return results
    }

    /// Runs statements in one round trip and reports on each.
    ///
    /// - Parameter groupSize: how many statements share one fate outside of a transaction: when one fails,
    ///   the rest of its group is `aborted`, and so are those before it; other groups are not touched.
    ///   Every group costs the server a flush to disk.
    /// - Throws: ``PostgresError`` when the connection broke or the task was cancelled: then it is not known
    ///   which statements took effect.
    package func pipeline(
        _ queries: [PostgresQuery], groupSize: Int = .max
    ) async throws(PostgresError) -> [Result<PostgresResult, PostgresError>] {
        precondition(!isCommitted, "a statement after the transaction's last")
        guard let begin = pendingBegin, !queries.isEmpty else { return try await run(queries, groupSize) }
        guard groupSize == .max else {
            try await sendBegin()
            return try await run(queries, groupSize)
        }
        pendingBegin = nil
        let outcomes = try await run([begin] + queries, groupSize)
        if case .failure(let error)? = outcomes.first, error.code != .aborted { throw error }
        return Array(outcomes.dropFirst())
    }

    private func run(
        _ queries: [PostgresQuery], _ groupSize: Int
    ) async throws(PostgresError) -> [Result<PostgresResult, PostgresError>] {
        var pipeline = try Pipeline(queries, groupSize: groupSize)
        return try await work(queries.last?.operation ?? "pipeline") {
            connection, handle throws(PostgresError) in
            try pipeline.run(on: handle, cache: &connection.cache)
        }
    }

    /// Runs a text of several statements, without parameters; as one transaction unless it says otherwise.
    package func executeScript(_ sql: String) async throws(PostgresError) {
        let operation = PostgresQuery.operation(of: sql)
        try await sendBegin()
        _ = try await work(operation) { _, handle throws(PostgresError) in
            try handle.runScript(sql, operation: operation)
        }
    }

    /// Sets the limit for the statements that follow, until the connection goes back to its pool.
    ///
    /// - Parameter limit: nil for none; the server then may be silent for as long as it likes.
    package func setStatementTimeout(_ limit: Duration?) async throws(PostgresError) {
        let milliseconds = limit?.milliseconds ?? 0
        try await execute("SELECT set_config('statement_timeout', \(String(milliseconds)), false)")
        handle?.silenceMax = limit.map { $0 + .seconds(5) }
        hasOwnTimeout = true
    }

    /// Ends the connection now; later calls throw `closed`.
    package func close() {
        handle = nil
        state = .ended(PostgresError(.closed, operation: "use a connection", message: "it was closed"))
    }

    static func firstError(_ outcomes: [Result<PostgresResult, PostgresError>]) -> PostgresError? {
        let errors = outcomes.compactMap { outcome -> PostgresError? in
            if case .failure(let error) = outcome { error } else { nil }
        }
        // The cause, not one of those it took with it.
        return errors.first { $0.code != .aborted } ?? errors.first
    }
}

// MARK: Transactions

extension PostgresConnection {
    /// Runs the last statements of a transaction and commits it in the same round trip.
    ///
    /// To be called last in ``withTransaction(_:isolation:_:)``.
    /// - Throws: ``PostgresError`` of the first statement that failed: then nothing is committed. A
    ///   `connectionLost` leaves open whether it took effect.
    @discardableResult
    package func executeAndCommit(_ queries: [PostgresQuery]) async throws(PostgresError) -> [PostgresResult]
    {
        var results = try await execute(queries + ["COMMIT"])
        try Self.checkCommitted(results.removeLast())
        isCommitted = true
        return results
    }

    func begin(_ query: PostgresQuery) {
        pendingBegin = query
    }

    /// Ends a transaction, unless its last statements did or it had none.
    func commit() async throws(PostgresError) {
        if isCommitted {
            isCommitted = false
        } else if pendingBegin != nil {
            pendingBegin = nil
        } else {
            try Self.checkCommitted(try await execute("COMMIT"))
        }
    }

    /// Ends a transaction, also for a task that was cancelled.
    func rollback() async throws(PostgresError) {
        if isCommitted || pendingBegin != nil {
            (isCommitted, pendingBegin) = (false, nil)
        } else {
            try await script("ROLLBACK")
        }
    }

    private func sendBegin() async throws(PostgresError) {
        guard let begin = pendingBegin else { return }
        pendingBegin = nil
        for outcome in try await run([begin], .max) { _ = try outcome.get() }
    }

    /// A transaction in which a statement failed answers COMMIT with ROLLBACK, and no error.
    private static func checkCommitted(_ result: PostgresResult) throws(PostgresError) {
        guard result.commandTag == "COMMIT" else {
            throw PostgresError(
                .aborted, operation: "COMMIT",
                message: "rolled back: a statement of the transaction had failed",
                sqlState: .failedTransaction)
        }
    }
}

// MARK: COPY

extension PostgresConnection {
    /// Runs `COPY … FROM STDIN` with what `body` writes.
    ///
    /// - Returns: how many rows the server stored.
    /// - Throws: ``PostgresError``, e.g. for a row the server refuses (told at the end); what `body` throws,
    ///   after the COPY was given up. In both cases nothing of it is stored.
    package func copyIn(
        _ sql: String, body: @Sendable (PostgresCopyWriter) async throws -> Void
    ) async throws -> Int {
        try await beginCopy(sql)
        do {
            try await body(PostgresCopyWriter(connection: self))
        } catch {
            // The server's answer repeats our own words; the caller wants the reason.
            _ = try? await endCopy(failure: "given up")
            throw error
        }
        return try await endCopy(failure: nil)
    }

    /// Runs `COPY … FROM STDIN` with bytes that are all there.
    package func copyIn(_ sql: String, bytes: [UInt8]) async throws(PostgresError) -> Int {
        let operation = PostgresQuery.operation(of: sql)
        try await sendBegin()
        return try await work(operation) { _, handle throws(PostgresError) in
            try handle.beginCopy(sql, operation: operation)
            do throws(PostgresError) {
                try handle.sendCopy(bytes, operation: operation)
            } catch {
                if error.isConnectionLost { throw error }
                _ = try? handle.endCopy(failure: "given up", operation: operation)
                throw error
            }
            return try handle.endCopy(failure: nil, operation: operation)
        }
    }

    private func beginCopy(_ sql: String) async throws(PostgresError) {
        let operation = PostgresQuery.operation(of: sql)
        try await sendBegin()
        try await work(operation) { connection, handle throws(PostgresError) in
            try handle.beginCopy(sql, operation: operation)
            connection.state = .copying(operation: operation)
        }
    }

    fileprivate func writeCopy(_ bytes: [UInt8]) async throws(PostgresError) {
        guard case .copying(let operation) = state else {
            throw PostgresError(.invalid, operation: "write to a COPY", message: "it is over")
        }
        try await work(operation, inCopy: true) { _, handle throws(PostgresError) in
            try handle.sendCopy(bytes, operation: operation)
        }
    }

    private func endCopy(failure: String?) async throws(PostgresError) -> Int {
        if case .ended(let error) = state { throw error }
        guard case .copying(let operation) = state else { return 0 }
        return try await work(operation, inCopy: true, isCancellable: failure == nil) {
            connection, handle throws(PostgresError) in
            connection.state = .ready
            return try handle.endCopy(failure: failure, operation: operation)
        }
    }
}

/// Takes the rows of a COPY, in the format its statement names.
package struct PostgresCopyWriter: Sendable {
    fileprivate let connection: PostgresConnection

    /// Sends bytes, cut anywhere; returns when the socket has taken them. Pieces of 64 KiB and more are
    /// as fast as it gets.
    package func write(_ bytes: [UInt8]) async throws(PostgresError) {
        try await connection.writeCopy(bytes)
    }
}

// MARK: For the pool and the listener

extension PostgresConnection {
    func connect() async throws(PostgresError) {
        let ticket = cancelSignal.begin()
        let (configuration, cancelSignal) = (configuration, cancelSignal)
        let outcome = await withTaskCancellationHandler {
            Result { () throws(PostgresError) in
                try ConnectionHandle.connect(configuration, cancelSignal: cancelSignal)
            }
        } onCancel: {
            cancelSignal.request(ticket)
        }
        handle = try outcome.get()
        state = .ready
    }

    /// Whether the connection was usable a moment ago: notices a server that closed it meanwhile.
    func checkUsable() -> Bool {
        guard case .ready = state, let handle, !handle.isBroken else { return false }
        return handle.isQuiet
    }

    /// Brings the connection back to how it was opened: no transaction, no time-out of its own.
    ///
    /// - Returns: false when it cannot be used again.
    func prepareForReturn() async -> Bool {
        guard case .ready = state, let handle else { return false }
        (isCommitted, pendingBegin) = (false, nil)
        do {
            switch handle.transactionStatus {
            case PQTRANS_IDLE: break
            case PQTRANS_INTRANS, PQTRANS_INERROR: try await rollback()
            default: return false
            }
            if cache.needsReset {
                try await script("DEALLOCATE ALL")
                cache.reset()
            }
            if hasOwnTimeout {
                try await script("RESET statement_timeout")
                handle.silenceMax = configuration.silenceMax
                hasOwnTimeout = false
            }
            return true
        } catch {
            return false
        }
    }

    private func script(_ sql: String) async throws(PostgresError) {
        _ = try await work(sql, isCancellable: false) { _, handle throws(PostgresError) in
            try handle.runScript(sql, operation: sql)
        }
    }

    /// Waits until a notification is there.
    ///
    /// - Returns: those that came; none when `limit` was over.
    func notifications(limit: Duration) async throws(PostgresError) -> [PostgresNotification] {
        try await work("wait for notifications") { _, handle throws(PostgresError) in
            try handle.notifications(limit: limit)
        }
    }

    /// Runs blocking work on our own thread; the task's cancellation reaches it through the signal.
    private func work<R>(
        _ operation: @autoclosure () -> String, inCopy: Bool = false, isCancellable: Bool = true,
        _ body: (isolated PostgresConnection, ConnectionHandle) throws(PostgresError) -> R
    ) async throws(PostgresError) -> R {
        switch state {
        case .ended(let error): throw error
        case .copying where !inCopy:
            throw PostgresError(
                .busy, operation: operation(), message: "a COPY is under way on this connection")
        case .copying, .ready: break
        }
        guard let handle else { preconditionFailure("a connection in use has a handle") }
        let ticket = cancelSignal.begin()
        let cancelSignal = cancelSignal
        let outcome = await withTaskCancellationHandler {
            Result { () throws(PostgresError) in try body(self, handle) }
        } onCancel: {
            if isCancellable { cancelSignal.request(ticket) }
        }
        if case .failure(let error) = outcome, error.isConnectionLost || handle.isBroken {
            state = .ended(error)
            self.handle = nil
        }
        return try outcome.get()
    }
}
