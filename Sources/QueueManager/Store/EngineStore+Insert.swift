import PostgresBridge
import Workflow

extension EngineStore {
    /// Inserts new queues as a look left them, with their instances, attempts and history, and commits.
    ///
    /// - Parameter rows: of the same queues, in the same order.
    /// - Returns: when they were created: the transaction's time, as RFC 3339 text.
    func insert(
        _ queues: [NewQueue], _ rows: [ScheduledQueue], _ transaction: PostgresConnection
    ) async throws -> String {
        let states = rows.map(\.queue)
        let statements =
            [
                try insertQueues(queues, rows), Self.insertInstances(states), try Self.saveAttempts(states),
                try Self.insertHistory(states), Self.insertKeys(queues),
            ].compactMap(\.self) + (try Self.saveCommands(states))
        let results = try await transaction.executeAndCommit(statements)
        guard let row = results.first?.first else { return "" }
        return try row["created_at", as: String.self]
    }

    private func insertQueues(_ queues: [NewQueue], _ rows: [ScheduledQueue]) throws -> PostgresQuery {
        let states = rows.map(\.queue)
        return """
            INSERT INTO streamforge.queues (queue_id, status, reason, request, plan, as_of, traceparent,
            started_at, finished_at, is_cleaned, event_number, command_seq, claim_token, look_at)
            SELECT queue_id, status, reason, request::jsonb, plan::jsonb, as_of, traceparent,
            \(raw: Self.timestamp("started_at")), \(raw: Self.timestamp("finished_at")), is_cleaned,
            event_number, command_seq, token,
            CASE schedule
                WHEN 'claim' THEN now() + \(LookRequest.claimMilliseconds)::bigint * interval '1 millisecond'
                WHEN 'release' THEN coalesce(now() + look_again * interval '1 millisecond', 'infinity')
                ELSE now() END
            FROM unnest(\(states.map(\.queueID.rawValue))::text[], \(states.map(\.status.rawValue))::text[],
            \(PostgresNullableArray(states.map(\.reason)))::text[],
            \(PostgresNullableArray(try queues.map { try MessageCodec.encodeText($0.request) }))::text[],
            \(PostgresNullableArray(try states.map { try plans.text(of: $0.plan) }))::text[],
            \(states.map(\.asOf))::bigint[], \(PostgresNullableArray(states.map(\.traceparent)))::text[],
            \(PostgresNullableArray(states.map(\.startedAt)))::bigint[],
            \(PostgresNullableArray(states.map(\.finishedAt)))::bigint[],
            \(PostgresNullableArray(states.map(\.isCleaned)))::boolean[],
            \(states.map(\.eventNumber))::bigint[], \(states.map(\.commandSeq))::bigint[],
            \(rows.map(\.schedule.word))::text[], \(PostgresNullableArray(rows.map(\.schedule.token)))::text[],
            \(PostgresNullableArray(rows.map(\.schedule.lookAgain)))::bigint[])
            AS x(queue_id, status, reason, request, plan, as_of, traceparent, started_at, finished_at,
            is_cleaned, event_number, command_seq, schedule, token, look_again)
            RETURNING \(raw: timeText("created_at"))
            """
    }

    /// Without what a new queue's instances cannot have yet: counts, failures, a time to wait for.
    private static func insertInstances(_ queues: [QueueState]) -> PostgresQuery {
        let rows = queues.flatMap { queue in
            queue.plan.instances.enumerated().compactMap { position, id in
                queue.instances[id].map {
                    (queue: queue.queueID.rawValue, id: id, position: position, state: $0)
                }
            }
        }
        return """
            INSERT INTO streamforge.instances (queue_id, step, instance, position, status, attempt, is_wanted,
            reason, started_at, finished_at)
            SELECT queue_id, step, instance, position, status, attempt, is_wanted, reason,
            \(raw: timestamp("started_at")), \(raw: timestamp("finished_at"))
            FROM unnest(\(rows.map(\.queue))::text[], \(rows.map(\.id.step.rawValue))::text[],
            \(rows.map(\.id.instance))::text[], \(rows.map(\.position))::int[],
            \(rows.map(\.state.machine.state.rawValue))::text[], \(rows.map(\.state.machine.attempt))::int[],
            \(PostgresNullableArray(rows.map(\.state.machine.isWanted)))::boolean[],
            \(PostgresNullableArray(rows.map(\.state.machine.reason)))::text[],
            \(PostgresNullableArray(rows.map(\.state.startedAt)))::bigint[],
            \(PostgresNullableArray(rows.map(\.state.finishedAt)))::bigint[])
            AS x(queue_id, step, instance, position, status, attempt, is_wanted, reason, started_at,
            finished_at)
            """
    }

    private static func insertKeys(_ queues: [NewQueue]) -> PostgresQuery? {
        let keyed = queues.compactMap { queue in queue.idempotencyKey.map { (key: $0, queue: queue) } }
        guard !keyed.isEmpty else { return nil }
        return """
            INSERT INTO streamforge.idempotency_keys (key, request_hash, queue_id)
            SELECT * FROM unnest(\(keyed.map(\.key))::text[], \(keyed.map(\.queue.requestHash))::text[],
            \(keyed.map(\.queue.queueID.rawValue))::text[])
            ON CONFLICT (key) DO UPDATE SET request_hash = excluded.request_hash,
            queue_id = excluded.queue_id, created_at = now()
            """
    }
}
