internal import CPQ

/// Runs statements in libpq's pipeline mode: all are sent without waiting for the answers.
///
/// The rules are those of section 34.5 of PostgreSQL's manual: an error makes the server skip everything up
/// to the next sync point; outside of a transaction, what lies between two sync points is one transaction.
struct Pipeline {
    /// Statements sent whose answer is still to come; bounds what both sides hold in memory.
    private static let inFlightMax = 1_000

    private enum Expected {
        case prepare(sql: String, name: String)
        case statement(Int)
        case sync
    }

    private let queries: [PostgresQuery]
    private let parameters: [ParameterBlock]
    private let groupSize: Int
    private var expected: [Expected] = []
    private var answered = 0
    private var sent = 0
    private var results: [Result<PostgresResult, PostgresError>] = []
    private var answer: Result<PostgresResult, PostgresError>?
    private var groupStart = 0
    private var groupFailed = false
    private var startedInTransaction = false
    private var isStopped = false
    /// Why the statement that follows could not be prepared.
    private var prepareFailure: PostgresError?

    /// What an error that is no statement's says was done.
    private var operation: String { queries.first { !$0.sql.hasPrefix("BEGIN ") }?.operation ?? "pipeline" }

    /// - Throws: ``PostgresError`` `invalid` for a parameter that cannot be sent, before anything is.
    init(_ queries: [PostgresQuery], groupSize: Int) throws(PostgresError) {
        self.queries = queries
        var parameters: [ParameterBlock] = []
        parameters.reserveCapacity(queries.count)
        for query in queries { parameters.append(try ParameterBlock(query)) }
        self.parameters = parameters
        self.groupSize = max(1, groupSize)
        results.reserveCapacity(queries.count)
    }

    /// - Returns: an outcome for every statement, in order.
    /// - Throws: ``PostgresError`` when the connection broke or the task was cancelled.
    mutating func run(
        on handle: ConnectionHandle, cache: inout StatementCache
    ) throws(PostgresError) -> [Result<PostgresResult, PostgresError>] {
        guard !queries.isEmpty else { return [] }
        guard !handle.cancelSignal.isRequested else { throw cancelled() }
        guard handle.enterPipelineMode() else { throw handle.lost(operation) }
        startedInTransaction = handle.transactionStatus != PQTRANS_IDLE
        while (sent < queries.count && !isStopped) || answered < expected.count {
            try send(on: handle, cache: &cache)
            try handle.drive(operation) { () throws(PostgresError) in PQisBusy(handle.pointer) == 0 }
            try receive(from: handle, cache: &cache)
        }
        let wasStopped = results.contains { result in
            if case .failure(let error) = result { error.sqlState == .queryCancelled } else { false }
        }
        if handle.cancelSignal.isRequested, wasStopped || results.count < queries.count { throw cancelled() }
        return results
    }

    private func cancelled() -> PostgresError {
        PostgresError(.cancelled, operation: operation, message: "the task was cancelled")
    }

    /// Sends as many statements as may be in flight.
    private mutating func send(
        on handle: ConnectionHandle, cache: inout StatementCache
    ) throws(PostgresError) {
        while !isStopped, sent < queries.count, expected.count - answered < Self.inFlightMax {
            let query = queries[sent]
            var isSent = true
            if handle.cancelSignal.isRequested {
                isStopped = true
                guard sent % groupSize != 0 else { return }
                isSent = PQpipelineSync(handle.pointer) == 1
                expected.append(.sync)
                guard isSent else { throw handle.lost(operation) }
                return
            }
            switch cache.plan(query, group: sent / groupSize) {
            case .prepare(let name):
                isSent = PQsendPrepare(handle.pointer, name, query.sql, 0, nil) == 1
                expected.append(.prepare(sql: query.sql, name: name))
                isSent = isSent && parameters[sent].send(handle.pointer, prepared: name)
            case .usePrepared(let name): isSent = parameters[sent].send(handle.pointer, prepared: name)
            case .sendText: isSent = parameters[sent].send(handle.pointer, sql: query.sql)
            }
            expected.append(.statement(sent))
            sent += 1
            if sent % groupSize == 0 || sent == queries.count {
                isSent = isSent && PQpipelineSync(handle.pointer) == 1
                expected.append(.sync)
            }
            guard isSent else { throw handle.lost(operation) }
        }
    }

    /// Takes in every answer that is there.
    private mutating func receive(
        from handle: ConnectionHandle, cache: inout StatementCache
    ) throws(PostgresError) {
        while answered < expected.count, PQisBusy(handle.pointer) == 0 {
            let item = expected[answered]
            guard let pointer = PQgetResult(handle.pointer) else {
                finish(item, cache: &cache)
                continue
            }
            switch PQresultStatus(pointer) {
            case PGRES_PIPELINE_SYNC:
                PQclear(pointer)
                finishGroup(handle)
            case PGRES_FATAL_ERROR:
                let error = PostgresError(result: pointer, operation: operationText(item))
                PQclear(pointer)
                if error.isConnectionLost { throw error }
                answer = .failure(error)
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                PQclear(pointer)
                // The connection cannot leave this state in a pipeline.
                throw PostgresError(
                    .connectionLost, operation: operationText(item), message: "COPY needs copyIn")
            case PGRES_PIPELINE_ABORTED:
                PQclear(pointer)
                answer = .failure(aborted(item))
            default:
                let sql = sql(of: item)
                let storage = ResultStorage(pointer, operation: PostgresQuery.operation(of: sql))
                answer = .success(PostgresResult(storage: storage))
            }
        }
    }

    /// The answers to one statement are complete.
    private mutating func finish(_ item: Expected, cache: inout StatementCache) {
        guard let outcome = answer else { return }
        answer = nil
        answered += 1
        var failure: PostgresError?
        if case .failure(let error) = outcome { failure = error }
        switch item {
        case .prepare(let sql, let name):
            cache.prepared(sql, name: name, succeeded: failure == nil)
            // The statement that follows is skipped by the server; it gets this error as its own.
            if let failure, failure.code != .aborted { prepareFailure = failure }
        case .statement:
            if let failure, [.invalidStatementName, .featureNotSupported].contains(failure.sqlState) {
                cache.markStale()
            }
            if let prepareFailure, failure?.code == .aborted {
                results.append(.failure(prepareFailure))
            } else {
                results.append(outcome)
            }
            prepareFailure = nil
        case .sync: break
        }
        if failure != nil { groupFailed = true }
    }

    /// What ran before the failing statement of a group was undone with it, unless an outer transaction
    /// decides about that.
    private mutating func finishGroup(_ handle: ConnectionHandle) {
        answered += 1
        if groupFailed, !startedInTransaction {
            for index in groupStart..<results.count {
                if case .success = results[index] { results[index] = .failure(aborted(.statement(index))) }
            }
        }
        groupStart = results.count
        groupFailed = false
    }

    /// The statement's text; empty where none is meant.
    private func sql(of item: Expected) -> String {
        switch item {
        case .prepare(let sql, _): sql
        case .statement(let index): queries[index].sql
        case .sync: ""
        }
    }

    private func operationText(_ item: Expected) -> String {
        if case .sync = item { operation } else { PostgresQuery.operation(of: sql(of: item)) }
    }

    private func aborted(_ item: Expected) -> PostgresError {
        PostgresError(
            .aborted, operation: operationText(item), message: "another statement of its group failed")
    }
}

extension ConnectionHandle {
    /// False when the connection is broken.
    func enterPipelineMode() -> Bool {
        PQpipelineStatus(pointer) != PQ_PIPELINE_OFF || PQenterPipelineMode(pointer) == 1
    }

    /// COPY and texts of several statements are not allowed in pipeline mode.
    func leavePipelineMode() -> Bool {
        PQpipelineStatus(pointer) == PQ_PIPELINE_OFF || PQexitPipelineMode(pointer) == 1
    }
}
