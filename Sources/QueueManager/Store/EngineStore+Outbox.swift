import PostgresBridge
import Workflow

extension EngineStore {
    /// A command is sent again after this long, until its effect is seen.
    package static let resendSeconds = 5

    /// The rows stay locked while they are sent: one dispatcher at a time a queue.
    package func dispatch(limit: Int, _ send: ([ControlCommand]) async throws -> Void) async throws -> Int {
        let sent = try await sendDue(limit: limit, send)
        // In a transaction of its own: whoever holds the queue's row may wait for the outbox's.
        if !sent.isEmpty { try await noteSent(sent) }
        return sent.count
    }

    private func sendDue(
        limit: Int, _ send: ([ControlCommand]) async throws -> Void
    ) async throws -> [ControlCommand] {
        try await pool.withTransaction { transaction in
            let rows = try await transaction.execute(
                """
                SELECT o.queue_id, o.command_seq, o.payload::text AS payload FROM streamforge.outbox o
                WHERE o.send_at <= now() ORDER BY o.queue_id, o.command_seq LIMIT \(limit)
                FOR UPDATE OF o SKIP LOCKED
                """)
            guard !rows.isEmpty else { return [] }
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
            return commands
        }
    }

    /// A crash before this only means that the commands are sent again.
    private func noteSent(_ commands: [ControlCommand]) async throws {
        let ids = Set(commands.map(\.queueID.rawValue)).sorted()
        try await pool.withTransaction { transaction in
            let locked = try await transaction.execute(
                """
                SELECT \(raw: QueueState.columns) FROM streamforge.queues
                WHERE queue_id = ANY(\(ids)::text[]) ORDER BY queue_id
                \(raw: QueueState.lock)
                """)
            let rows = try await transaction.execute(
                """
                SELECT \(raw: AttemptState.columns) FROM streamforge.attempts a
                WHERE a.queue_id = ANY(\(ids)::text[]) AND NOT a.is_gone
                """)
            var queues: [QueueID: QueueState] = [:]
            for row in locked {
                let queue = try QueueState(row, plans)
                queues[queue.queueID] = queue
            }
            for row in rows { try queues[try row.queueID("queue_id")]?.addAttempt(row) }
            for command in commands { queues[command.queueID]?.noteSent(command) }
            let changed = queues.values.sorted { $0.queueID.rawValue < $1.queueID.rawValue }
            try await transaction.execute(
                try Self.save(changed.map { ($0, $0.changes.needsLook ? .soon : .keep) }))
        }
    }
}

extension QueueState {
    /// Notes that a command was sent.
    package mutating func noteSent(_ command: ControlCommand) {
        if status.isFinal { changes.dropsCommands = true }
        guard command.command == .stop, let step = command.step, let instance = command.instance,
            let attempt = command.attempt
        else { return }
        _ = stopSent(AttemptID(InstanceID(step: step, instance: instance), attempt))
    }
}
