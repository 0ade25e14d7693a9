/// Why a call to PostgreSQL failed. Never holds a password or a parameter's value of ours.
package struct PostgresError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The server refused the statement; see ``sqlState``.
        case server
        /// No connection could be made.
        case connectFailed
        /// The connection broke; whether a running COMMIT took effect is not known.
        case connectionLost
        /// The server did not answer in time, or stopped the statement at its time limit.
        case timedOut
        /// Our task was cancelled; the statement had no effect.
        case cancelled
        /// Another statement of the same pipeline group failed, so this one was not run or was undone.
        case aborted
        /// No connection of the pool came free in time, or too many callers wait.
        case poolExhausted
        /// The pool or connection was closed by us.
        case closed
        /// The connection is in the middle of a COPY.
        case busy
        /// The call itself is wrong: a bad URL, a NUL in a text, a changed migration.
        case invalid
        /// A value of the answer is not of the wanted type.
        case decoding
    }

    package var code: Code
    /// What we were doing: the beginning of the statement, or e.g. `connect to 127.0.0.1:5432/app`.
    package var operation: String
    package var message: String
    package var sqlState: SQLState?
    /// `ERROR`, `FATAL` or `PANIC`, not translated; empty when the server did not speak.
    package var severity = ""
    package var detail = ""
    package var hint = ""
    /// The constraint that was violated, where there is one.
    package var constraint = ""

    package init(_ code: Code, operation: String, message: String, sqlState: SQLState? = nil) {
        self.code = code
        self.operation = operation
        self.message = message
        self.sqlState = sqlState
    }

    /// The connection cannot be used any more.
    package var isConnectionLost: Bool {
        code == .connectionLost || code == .connectFailed || severity == "FATAL" || severity == "PANIC"
    }

    /// The same transaction may succeed when it is run again at once.
    package var isTransactionConflict: Bool {
        sqlState == .serializationFailure || sqlState == .deadlock
    }

    /// The same call may succeed later without anybody changing anything.
    package var isRetriable: Bool {
        switch code {
        case .connectionLost, .timedOut, .poolExhausted: return true
        case .connectFailed: return !isRefusedLogin
        case .server:
            guard let sqlState else { return false }
            return isTransactionConflict || ["08", "53", "57"].contains(sqlState.classCode)
                || sqlState == .lockNotAvailable || sqlState == .idleInTransactionTimeout
        case .cancelled, .aborted, .closed, .busy, .invalid, .decoding: return false
        }
    }

    /// User, password, database or `pg_hba.conf` is wrong: waiting does not help.
    package var isRefusedLogin: Bool {
        guard let sqlState else { return false }
        return sqlState.classCode == "28" || sqlState == .unknownDatabase
            || sqlState == .insufficientPrivilege
    }

    package var description: String {
        var text = "\(operation): \(code.rawValue)"
        if let sqlState { text += " \(sqlState)" }
        text += ": \(message)"
        if !detail.isEmpty { text += " (\(detail))" }
        if !hint.isEmpty { text += "; \(hint)" }
        return text
    }
}
