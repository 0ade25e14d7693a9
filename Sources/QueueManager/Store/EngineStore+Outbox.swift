import PostgresBridge
import Workflow

/// A command that is due to be sent.
package struct DueCommand: Sendable {
    package var queueID: QueueID
    package var commandSeq: Int64
    package var payload: ControlCommand
}

extension EngineStore {
    /// A command is sent again after this long, until its effect is seen.
    package static let resendSeconds = 5

    /// Hands due commands to `send`, oldest first a queue, and notes them as sent if it returns.
    ///
    /// One dispatcher at a time per queue: the rows stay locked while they are sent.
    /// - Returns: how many were sent.
    package func dispatch(limit: Int, _ send: ([DueCommand]) async throws -> Void) async throws -> Int {
        try await pool.withTransaction { transaction in
            let rows = try await transaction.execute(
                """
                SELECT o.queue_id, o.command_seq, o.payload::text AS payload, q.traceparent
                FROM streamforge.outbox o JOIN streamforge.queues q USING (queue_id)
                WHERE o.send_at <= now() ORDER BY o.queue_id, o.command_seq LIMIT \(limit)
                FOR UPDATE OF o SKIP LOCKED
                """)
            guard !rows.isEmpty else { return 0 }
            let commands = try rows.map { row in
                let queueID = try row.queueID("queue_id")
                let seq = try row["command_seq", as: Int64.self]
                var payload = try MessageCodec.decode(
                    ControlCommand.self, fromText: try row["payload", as: String.self])
                payload.commandSeq = seq
                payload.commandID = "\(queueID)/\(seq)"
                payload.traceparent = try row["traceparent", as: String?.self]
                return DueCommand(queueID: queueID, commandSeq: seq, payload: payload)
            }
            try await send(commands)
            try await transaction.execute(
                commands.map { command in
                    """
                    UPDATE streamforge.outbox SET sends = sends + 1,
                    send_at = now() + make_interval(secs => \(Self.resendSeconds)::int)
                    WHERE queue_id = \(command.queueID.rawValue) AND command_seq = \(command.commandSeq)
                    """
                })
            return commands.count
        }
    }
}
