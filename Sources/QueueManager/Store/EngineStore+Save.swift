import PostgresBridge
import Workflow

/// When a queue is looked at next, as a transaction leaves it.
enum QueueSchedule: Sendable {
    /// As it was.
    case keep
    /// Now, unless somebody holds it: who does looks again anyway.
    case soon
    case claim(token: String)
    /// Nobody holds it any more; nil: only when somebody asks.
    case release(lookAgain: Int64?)

    /// As a look leaves it: claimed as long as there is something to do outside.
    init(after plan: LookPlan, token: String) {
        self = plan.keepsClaim ? .claim(token: token) : .release(lookAgain: plan.lookAgain)
    }

    var word: String {
        switch self {
        case .keep: "keep"
        case .soon: "soon"
        case .claim: "claim"
        case .release: "release"
        }
    }

    var token: String? {
        if case .claim(let token) = self { token } else { nil }
    }

    var lookAgain: Int64? {
        if case .release(let milliseconds) = self { milliseconds } else { nil }
    }

    fileprivate var isKept: Bool {
        if case .keep = self { true } else { false }
    }
}

extension EngineStore {
    typealias ScheduledQueue = (queue: QueueState, schedule: QueueSchedule)

    /// What writes everything that was changed in some queues: a few statements, however many queues.
    static func save(_ queues: [ScheduledQueue]) throws -> [PostgresQuery] {
        let changed = queues.map(\.queue).filter { !$0.changes.isEmpty }
        return [
            saveQueues(queues.filter { $0.queue.changes.isQueueChanged || !$0.schedule.isKept }),
            try saveInstances(changed), try saveAttempts(changed), try insertHistory(changed),
            try saveModels(changed),
        ].compactMap(\.self) + (try saveCommands(changed))
            + changed.filter { !$0.changes.runAgain.isEmpty }.flatMap(saveRun)
    }

    /// What only a new run changes.
    private static func saveRun(of queue: QueueState) -> [PostgresQuery] {
        let ids = queue.changes.runAgain.sorted()
        return [
            "UPDATE streamforge.queues SET run = \(queue.run) WHERE queue_id = \(queue.queueID.rawValue)",
            """
            UPDATE streamforge.instances i SET attempts_before = i.attempt
            FROM unnest(\(ids.map(\.step.rawValue))::text[], \(ids.map(\.instance))::text[])
            AS x(step, instance)
            WHERE i.queue_id = \(queue.queueID.rawValue) AND i.step = x.step AND i.instance = x.instance
            """,
        ]
    }

    private static func saveQueues(_ rows: [ScheduledQueue]) -> PostgresQuery? {
        guard !rows.isEmpty else { return nil }
        let queues = rows.map(\.queue)
        return """
            UPDATE streamforge.queues q SET status = x.status, reason = x.reason,
            started_at = \(raw: timestamp("x.started_at")), finished_at = \(raw: timestamp("x.finished_at")),
            paused_at = \(raw: timestamp("x.paused_at")), paused_ms = x.paused_ms,
            is_terminated = x.is_terminated, is_cleaned = x.is_cleaned, event_number = x.event_number,
            command_seq = x.command_seq,
            claim_token = CASE x.schedule WHEN 'claim' THEN x.token WHEN 'release' THEN NULL
                ELSE q.claim_token END,
            look_at = CASE
                WHEN x.schedule = 'claim'
                THEN now() + \(LookRequest.claimMilliseconds)::bigint * interval '1 millisecond'
                WHEN x.schedule = 'release'
                THEN coalesce(now() + x.look_again * interval '1 millisecond', 'infinity')
                WHEN x.schedule = 'soon' AND q.claim_token IS NULL THEN least(q.look_at, now())
                ELSE q.look_at END
            FROM unnest(\(queues.map(\.queueID.rawValue))::text[], \(queues.map(\.status.rawValue))::text[],
            \(PostgresNullableArray(queues.map(\.reason)))::text[],
            \(PostgresNullableArray(queues.map(\.startedAt)))::bigint[],
            \(PostgresNullableArray(queues.map(\.finishedAt)))::bigint[],
            \(PostgresNullableArray(queues.map(\.pausedAt)))::bigint[],
            \(queues.map(\.pausedMilliseconds))::bigint[],
            \(PostgresNullableArray(queues.map(\.isTerminated)))::boolean[],
            \(PostgresNullableArray(queues.map(\.isCleaned)))::boolean[],
            \(queues.map(\.eventNumber))::bigint[], \(queues.map(\.commandSeq))::bigint[],
            \(rows.map(\.schedule.word))::text[], \(PostgresNullableArray(rows.map(\.schedule.token)))::text[],
            \(PostgresNullableArray(rows.map(\.schedule.lookAgain)))::bigint[])
            AS x(queue_id, status, reason, started_at, finished_at, paused_at, paused_ms, is_terminated,
            is_cleaned, event_number, command_seq, schedule, token, look_again)
            WHERE q.queue_id = x.queue_id
            """
    }

    private static func saveInstances(_ queues: [QueueState]) throws -> PostgresQuery? {
        let rows = queues.flatMap { queue in
            queue.changes.instances.sorted().compactMap { id in
                queue.instances[id].map { (queue: queue.queueID.rawValue, id: id, state: $0) }
            }
        }
        guard !rows.isEmpty else { return nil }
        return """
            UPDATE streamforge.instances i SET status = x.status, attempt = x.attempt, failures = x.failures,
            is_wanted = x.is_wanted, reason = x.reason, not_before = \(raw: timestamp("x.not_before")),
            records_read = x.records_read, records_written = x.records_written, duplicates = x.duplicates,
            dead_letters = x.dead_letters, last_key = x.last_key, last_seq = x.last_seq, extra = x.extra::jsonb,
            started_at = \(raw: timestamp("x.started_at")), finished_at = \(raw: timestamp("x.finished_at")),
            paused_ms_before = x.paused_ms_before
            FROM unnest(\(rows.map(\.queue))::text[], \(rows.map(\.id.step.rawValue))::text[],
            \(rows.map(\.id.instance))::text[], \(rows.map(\.state.machine.state.rawValue))::text[],
            \(rows.map(\.state.machine.attempt))::int[], \(rows.map(\.state.machine.failures))::int[],
            \(PostgresNullableArray(rows.map(\.state.machine.isWanted)))::boolean[],
            \(PostgresNullableArray(rows.map(\.state.machine.reason)))::text[],
            \(rows.map(\.state.notBefore))::bigint[], \(rows.map(\.state.counts.recordsRead))::bigint[],
            \(rows.map(\.state.counts.recordsWritten))::bigint[],
            \(rows.map(\.state.counts.duplicates))::bigint[], \(rows.map(\.state.counts.deadLetters))::bigint[],
            \(PostgresNullableArray(rows.map(\.state.counts.lastKey)))::text[],
            \(PostgresNullableArray(rows.map(\.state.counts.lastSeq)))::bigint[],
            \(PostgresNullableArray(try rows.map { try $0.state.extra.map { try text($0) } }))::text[],
            \(PostgresNullableArray(rows.map(\.state.startedAt)))::bigint[],
            \(PostgresNullableArray(rows.map(\.state.finishedAt)))::bigint[],
            \(rows.map(\.state.pausedBefore))::bigint[])
            AS x(queue_id, step, instance, status, attempt, failures, is_wanted, reason, not_before,
            records_read, records_written, duplicates, dead_letters, last_key, last_seq, extra, started_at,
            finished_at, paused_ms_before)
            WHERE i.queue_id = x.queue_id AND i.step = x.step AND i.instance = x.instance
            """
    }

    /// The time of creation is not the transaction's: the attempt before may end in it, at a later moment.
    static func saveAttempts(_ queues: [QueueState]) throws -> PostgresQuery? {
        let rows = queues.flatMap { queue in
            queue.changes.attempts.sorted().compactMap { id in
                queue.attempts[id].map { (queue: queue.queueID.rawValue, id: id, state: $0) }
            }
        }
        guard !rows.isEmpty else { return nil }
        let handles = try rows.map { row in
            try row.state.handle.map { try MessageCodec.encodeText($0) }
        }
        return """
            INSERT INTO streamforge.attempts AS a (queue_id, step, instance, attempt, launch_token,
            control_partition, control_offset, handle, worker_id, last_event_seq, status, reason, lease_until,
            lease_blind_ms, gone_offset, how_ended, stop_requested_at, is_stop_sent, ended_at, is_gone,
            created_at)
            SELECT x.queue_id, x.step, x.instance, x.attempt, x.launch_token, x.control_partition,
            x.control_offset, x.handle::jsonb, x.worker_id, x.last_event_seq, x.status, x.reason,
            \(raw: timestamp("x.lease_until")), x.lease_blind_ms, x.gone_offset, x.how_ended,
            \(raw: timestamp("x.stop_requested_at")), x.is_stop_sent, \(raw: timestamp("x.ended_at")),
            x.is_gone, clock_timestamp()
            FROM unnest(\(rows.map(\.queue))::text[], \(rows.map(\.id.id.step.rawValue))::text[],
            \(rows.map(\.id.id.instance))::text[], \(rows.map(\.id.number))::int[],
            \(rows.map(\.state.launchToken))::text[], \(rows.map(\.state.control.partition))::int[],
            \(rows.map(\.state.control.offset))::bigint[], \(PostgresNullableArray(handles))::text[],
            \(PostgresNullableArray(rows.map(\.state.workerID)))::text[],
            \(rows.map(\.state.lastEventSeq))::bigint[], \(rows.map(\.state.status))::text[],
            \(PostgresNullableArray(rows.map(\.state.reason)))::text[],
            \(rows.map(\.state.leaseUntil))::bigint[], \(rows.map(\.state.leaseBlind))::bigint[],
            \(PostgresNullableArray(rows.map(\.state.goneOffset)))::bigint[],
            \(PostgresNullableArray(rows.map(\.state.howEnded)))::text[],
            \(PostgresNullableArray(rows.map(\.state.stopRequestedAt)))::bigint[],
            \(PostgresNullableArray(rows.map(\.state.isStopSent)))::boolean[],
            \(PostgresNullableArray(rows.map(\.state.endedAt)))::bigint[],
            \(PostgresNullableArray(rows.map(\.state.isGone)))::boolean[])
            AS x(queue_id, step, instance, attempt, launch_token, control_partition, control_offset, handle,
            worker_id, last_event_seq, status, reason, lease_until, lease_blind_ms, gone_offset, how_ended,
            stop_requested_at, is_stop_sent, ended_at, is_gone)
            ON CONFLICT (queue_id, step, instance, attempt) DO UPDATE SET handle = excluded.handle,
            worker_id = excluded.worker_id, last_event_seq = excluded.last_event_seq,
            status = excluded.status, reason = excluded.reason, lease_until = excluded.lease_until,
            lease_blind_ms = excluded.lease_blind_ms, gone_offset = excluded.gone_offset,
            how_ended = excluded.how_ended, stop_requested_at = excluded.stop_requested_at,
            is_stop_sent = excluded.is_stop_sent, ended_at = excluded.ended_at, is_gone = excluded.is_gone
            """
    }

    /// Numbered under the queues' row locks, so that numbers have no gaps and commit in order.
    static func insertHistory(_ queues: [QueueState]) throws -> PostgresQuery? {
        let rows = queues.flatMap { queue in
            queue.changes.history.map { (queue: queue.queueID.rawValue, entry: $0) }
        }
        guard !rows.isEmpty else { return nil }
        return """
            INSERT INTO streamforge.events (queue_id, number, kind, actor, step, instance, attempt, detail)
            SELECT queue_id, number, kind, actor, step, instance, attempt, detail::jsonb
            FROM unnest(\(rows.map(\.queue))::text[], \(rows.map(\.entry.number))::bigint[],
            \(rows.map(\.entry.kind))::text[], \(rows.map(\.entry.actor))::text[],
            \(PostgresNullableArray(rows.map { $0.entry.id?.step.rawValue }))::text[],
            \(PostgresNullableArray(rows.map { $0.entry.id?.instance }))::text[],
            \(PostgresNullableArray(rows.map(\.entry.attempt)))::int[],
            \(PostgresNullableArray(try rows.map { try text($0.entry.detail) }))::text[])
            AS x(queue_id, number, kind, actor, step, instance, attempt, detail)
            """
    }

    /// One line of history for whoever does not hold the queue's state; numbered under its row's lock.
    static func historyInsert(
        _ queueID: String, kind: String, actor: String, id: InstanceID? = nil, attempt: Int? = nil,
        detail: [String: JSONValue] = [:]
    ) throws -> PostgresQuery {
        """
        WITH numbered AS (
            UPDATE streamforge.queues SET event_number = event_number + 1 WHERE queue_id = \(queueID)
            RETURNING event_number)
        INSERT INTO streamforge.events (queue_id, number, kind, actor, step, instance, attempt, detail)
        SELECT \(queueID), event_number, \(kind), \(actor), \(optional: id?.step.rawValue),
        \(optional: id?.instance), \(optional: attempt), \(PostgresJSON(try text(detail))) FROM numbered
        """
    }

    static func saveCommands(_ queues: [QueueState]) throws -> [PostgresQuery] {
        var statements: [PostgresQuery] = []
        let commands = queues.flatMap(\.changes.commands)
        if !commands.isEmpty {
            statements.append(
                """
                INSERT INTO streamforge.outbox (queue_id, command_seq, step, instance, attempt, payload)
                SELECT queue_id, command_seq, step, instance, attempt, payload::jsonb
                FROM unnest(\(commands.map(\.queueID.rawValue))::text[], \(commands.map(\.commandSeq))::bigint[],
                \(PostgresNullableArray(commands.map { $0.step?.rawValue }))::text[],
                \(PostgresNullableArray(commands.map(\.instance)))::text[],
                \(PostgresNullableArray(commands.map(\.attempt)))::int[],
                \(PostgresNullableArray(try commands.map { try MessageCodec.encodeText($0) }))::text[])
                AS x(queue_id, command_seq, step, instance, attempt, payload)
                """)
        }
        // Who never had a command has none in the outbox.
        let commanded = queues.filter { $0.commandSeq > 0 }
        let settled = commanded.flatMap { queue in
            queue.changes.settledAttempts.map { (queue: queue.queueID.rawValue, id: $0) }
        }
        if !settled.isEmpty {
            statements.append(
                """
                DELETE FROM streamforge.outbox o
                USING unnest(\(settled.map(\.queue))::text[], \(settled.map(\.id.id.step.rawValue))::text[],
                \(settled.map(\.id.id.instance))::text[], \(settled.map(\.id.number))::int[])
                AS x(queue_id, step, instance, attempt)
                WHERE o.queue_id = x.queue_id AND o.step = x.step AND o.instance = x.instance
                AND o.attempt = x.attempt
                """)
        }
        let final = commanded.filter(\.changes.dropsCommands).map(\.queueID.rawValue)
        if !final.isEmpty {
            statements.append(
                "DELETE FROM streamforge.outbox WHERE queue_id = ANY(\(final)::text[]) AND sends > 0")
        }
        return statements
    }

    private static func text(_ detail: [String: JSONValue]) throws -> String {
        detail.isEmpty ? "{}" : try MessageCodec.encodeText(JSONValue.object(detail))
    }

    /// The timestamp of a column of milliseconds.
    static func timestamp(_ column: String) -> String {
        "timestamptz 'epoch' + \(column) * interval '1 millisecond'"
    }
}
