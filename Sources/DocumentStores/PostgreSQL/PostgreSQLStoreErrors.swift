import PostgresBridge
import Workflow

extension StoreError {
    /// Says what a failure of PostgreSQL means for the store's caller.
    init(_ error: PostgresError, operation: String) {
        self.init(Self.code(of: error), operation: operation, detail: Self.detail(of: error))
    }

    private static func code(of error: PostgresError) -> Code {
        if error.sqlState == .unknownDatabase { return .notFound }
        if error.isRefusedLogin { return .denied }
        switch error.code {
        // `cancelled`: nobody waits for the answer, and trying again is right.
        case .connectFailed, .connectionLost, .timedOut, .poolExhausted, .closed, .cancelled, .aborted:
            return .unavailable
        case .decoding: return .corrupt
        case .busy, .invalid: return .invalid
        case .server: break
        }
        switch error.sqlState {
        case .undefinedTable, .unknownSchema: return .notFound
        // XX001 and XX002: a damaged page or index.
        case SQLState("XX001"), SQLState("XX002"): return .corrupt
        default: return error.isRetriable ? .unavailable : .invalid
        }
    }

    private static func detail(of error: PostgresError) -> String {
        [error.sqlState?.rawValue ?? "", error.message, error.detail].filter { !$0.isEmpty }
            .joined(separator: ": ")
    }

    /// Keeps a ``StoreError`` and translates the rest.
    static func wrapping(_ error: any Error, operation: String) -> StoreError {
        switch error {
        case let error as StoreError: error
        case let error as PostgresError: StoreError(error, operation: operation)
        default: StoreError(.unavailable, operation: operation, detail: "\(error)")
        }
    }
}

extension PostgresError {
    /// The server will never take this row: bad data (22), a broken constraint (23), a size beyond its
    /// limits (54).
    var isRefusalOfData: Bool {
        guard code == .server, let sqlState else { return false }
        return ["22", "23", "54"].contains(sqlState.classCode)
    }
}
