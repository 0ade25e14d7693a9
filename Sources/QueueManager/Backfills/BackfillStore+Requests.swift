import PostgresBridge
import Workflow

/// What a person may ask of a backfill.
package enum BackfillRequest: String, Sendable, CaseIterable {
    /// Start no further shards; queues that run go on.
    case pause
    case resume
    /// Stop the queues that run and end.
    case cancel
    /// Run the failed shards again.
    case retry

    var input: BackfillMachine.Input {
        switch self {
        case .pause: .pause
        case .resume: .resume
        case .cancel: .cancel
        case .retry: .retry
        }
    }
}

extension BackfillStore {
    /// What became of a request.
    package enum RequestOutcome: Sendable, Hashable {
        case unknown
        /// It was there already; nothing was changed.
        case met(BackfillMachine.State)
        /// - Parameter shards: failed shards that run again.
        case accepted(BackfillMachine.State, shards: Int)
        /// It cannot get there from where it is.
        case refused(BackfillMachine.State)
    }

    /// Moves a backfill as asked, under its row lock; the service does the rest.
    package func request(_ request: BackfillRequest, of name: ObjectName) async throws -> RequestOutcome {
        try await pool.withTransaction { transaction in
            let rows = try await transaction.execute(
                "SELECT state FROM streamforge.backfills WHERE name = \(name.rawValue) FOR UPDATE")
            guard let row = rows.first else { return .unknown }
            var machine = BackfillMachine(try row.word("state", as: BackfillMachine.State.self))
            var shards = 0
            switch machine.apply(request.input) {
            case .met: return .met(machine.state)
            case .refuse: return .refused(machine.state)
            case .changed: break
            case .retryFailedShards:
                // As ShardMachine answers to `retry`.
                shards = try await transaction.execute(
                    """
                    UPDATE streamforge.backfill_shards SET state = 'waiting', ended_at = NULL
                    WHERE backfill = \(name.rawValue) AND state = 'failed' AND is_wanted
                    """
                ).affectedRows
                if shards == 0 { return .met(machine.state) }
            }
            try await transaction.execute(
                """
                UPDATE streamforge.backfills SET state = \(machine.state.rawValue), ended_at = NULL,
                look_at = 0, look_version = look_version + 1 WHERE name = \(name.rawValue)
                """)
            return .accepted(machine.state, shards: shards)
        }
    }
}
