/// How a transaction is run.
package struct PostgresTransactionOptions: Sendable, Hashable {
    package enum Isolation: String, Sendable {
        case readCommitted = "READ COMMITTED"
        case repeatableRead = "REPEATABLE READ"
        case serializable = "SERIALIZABLE"
    }

    package var isolation: Isolation
    package var isReadOnly: Bool
    /// How often the transaction is tried when it conflicts with another one (SQLSTATE 40001, 40P01).
    package var attemptsMax: Int

    package init(isolation: Isolation = .readCommitted, isReadOnly: Bool = false, attemptsMax: Int = 1) {
        precondition(attemptsMax > 0, "a transaction is tried at least once")
        self.isolation = isolation
        self.isReadOnly = isReadOnly
        self.attemptsMax = attemptsMax
    }

    fileprivate var begin: PostgresQuery {
        "BEGIN ISOLATION LEVEL \(raw: isolation.rawValue)\(raw: isReadOnly ? " READ ONLY" : "")"
    }
}

extension PostgresPool {
    /// Runs `body` in a transaction: committed when it returns, rolled back when it throws.
    ///
    /// - Parameters:
    ///   - options: with `attemptsMax` above 1, `body` is run again from the start after a conflict, so it
    ///     must have no effect outside of the transaction.
    /// - Throws: ``PostgresError``; what `body` throws. A `connectionLost` of `COMMIT` leaves open whether
    ///   it took effect.
    @discardableResult
    package func withTransaction<R>(
        _ options: PostgresTransactionOptions = PostgresTransactionOptions(),
        isolation: isolated (any Actor)? = #isolation,
        _ body: (PostgresConnection) async throws -> R
    ) async throws -> R {
        var attempt = 1
        while true {
            do {
                return try await withConnection { connection in
                    try await connection.withTransaction(options, body)
                }
            } catch let error as PostgresError
                where error.isTransactionConflict && attempt < options.attemptsMax
            {
                observe(.transactionRetried(error, attempt: attempt))
                // Both sides of a conflict would else meet again at once.
                let pause = configuration.backoffInitial * min(attempt, 10) * Double.random(in: 0.1...1)
                try await Task.sleep(for: pause)
                attempt += 1
            }
        }
    }
}

extension PostgresConnection {
    /// Runs `body` in a transaction of this connection; see ``PostgresPool/withTransaction(_:isolation:_:)``.
    /// It is not tried again.
    @discardableResult
    package func withTransaction<R>(
        _ options: PostgresTransactionOptions = PostgresTransactionOptions(),
        isolation: isolated (any Actor)? = #isolation,
        _ body: (PostgresConnection) async throws -> R
    ) async throws -> R {
        await begin(options.begin)
        let value: R
        do {
            value = try await body(self)
        } catch {
            // The first error counts; a connection that cannot roll back is replaced when it is returned.
            try? await rollback()
            throw error
        }
        try await commit()
        return value
    }
}
