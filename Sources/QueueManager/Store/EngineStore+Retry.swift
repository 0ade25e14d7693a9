import PostgresBridge
import Workflow

extension EngineStore {
    /// Lets a queue that is over run again, under its row lock; the reconciler does the rest.
    package func retry(
        _ request: RetryRequest, of id: QueueID, actor: String
    ) async throws -> RetryOutcome {
        try await pool.withTransaction { transaction in
            let rows = try await transaction.execute(
                """
                SELECT \(raw: QueueState.columns), is_history_deleted,
                \(raw: milliseconds("clock_timestamp()", as: "now"))
                FROM streamforge.queues WHERE queue_id = \(id.rawValue) \(raw: QueueState.lock)
                """)
            guard let row = rows.first else { return .unknownQueue }
            if try row["is_history_deleted", as: Bool.self] { return .historyDeleted }
            var queue = try QueueState(row, plans)
            let instances = try await transaction.execute(
                """
                SELECT \(raw: InstanceState.columns) FROM streamforge.instances i
                WHERE i.queue_id = \(id.rawValue)
                """)
            for row in instances { try queue.addInstance(row) }
            let context = OperationContext(
                now: try row["now", as: Int64.self], policy: EnginePolicy(), jitter: 0)
            let outcome = queue.answer(to: request, actor: actor, context)
            guard case .accepted = outcome else { return outcome }
            try await transaction.execute(try Self.save([(queue, .soon)]))
            return outcome
        }
    }
}
