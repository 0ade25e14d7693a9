import PostgresBridge
import Workflow

extension EngineStore {
    /// A command is sent again after this long, until its effect is seen.
    package static let resendSeconds = 5

    /// The rows stay locked while they are sent: one dispatcher at a time a queue.
    package func dispatch(limit: Int, _ send: ([ControlCommand]) async throws -> Void) async throws -> Int {
        try await pool.withTransaction { transaction in
            let rows = try await transaction.execute(
                """
                SELECT o.queue_id, o.command_seq, o.payload::text AS payload FROM streamforge.outbox o
                WHERE o.send_at <= now() ORDER BY o.queue_id, o.command_seq LIMIT \(limit)
                FOR UPDATE OF o SKIP LOCKED
                """)
            guard !rows.isEmpty else { return 0 }
            let commands = try rows.map { row in
                try MessageCodec.decode(ControlCommand.self, fromText: try row["payload", as: String.self])
            }
            try await send(commands)
            try await transaction.execute(
                """
                UPDATE streamforge.outbox o SET sends = sends + 1,
                send_at = now() + make_interval(secs => \(Self.resendSeconds)::int)
                FROM unnest(\(commands.map(\.queueID.rawValue))::text[], \(commands.map(\.commandSeq))::bigint[])
                AS x(queue_id, command_seq)
                WHERE o.queue_id = x.queue_id AND o.command_seq = x.command_seq
                """)
            return commands.count
        }
    }
}
