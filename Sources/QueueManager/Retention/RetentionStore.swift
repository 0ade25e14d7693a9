import PostgresBridge
import Workflow

/// What retention asks of PostgreSQL, on the connection that holds its lock.
struct RetentionStore: Sendable {
    let connection: PostgresConnection
    let policy: RetentionPolicy

    /// A queue that is old enough.
    struct Candidate: Sendable, Hashable {
        var queueID: String
        /// `YYYY-MM-DD`, UTC: the day it ended.
        var endDay: String
        var eventNumber: Int64
        var isArchived: Bool
    }

    private static let columns = """
        queue_id, to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS end_day, event_number,
        archived_number IS NOT DISTINCT FROM event_number AS is_archived
        """

    /// Cleaned queues whose history is due, oldest first; those that somebody holds are passed over.
    func dueHistories(days: Int, skipping: [String]) async throws -> [Candidate] {
        try await candidates("is_cleaned AND NOT is_history_deleted", days: days, skipping: skipping)
    }

    /// Queues without history that are due.
    func dueQueues(days: Int, skipping: [String]) async throws -> [Candidate] {
        try await candidates("is_history_deleted", days: days, skipping: skipping)
    }

    private func candidates(
        _ condition: String, days: Int, skipping: [String]
    ) async throws -> [Candidate] {
        let rows = try await connection.execute(
            """
            SELECT \(raw: Self.columns) FROM streamforge.queues
            WHERE \(raw: condition) AND finished_at < now() - make_interval(days => \(days)::int)
            AND queue_id <> ALL(\(skipping)::text[])
            ORDER BY finished_at LIMIT \(policy.queuesMax) FOR UPDATE SKIP LOCKED
            """)
        return try rows.map { row in
            Candidate(
                queueID: try row["queue_id", as: String.self], endDay: try row["end_day", as: String.self],
                eventNumber: try row["event_number", as: Int64.self],
                isArchived: try row["is_archived", as: Bool.self])
        }
    }

    func setArchived(_ queues: [Candidate]) async throws {
        try await transaction(
            queues.map { queue in
                """
                UPDATE streamforge.queues SET archived_number = \(queue.eventNumber)
                WHERE queue_id = \(queue.queueID)
                """
            })
    }

    /// Deletes at most `rowsMax` rows of these queues from a table of the engine; locked ones stay.
    ///
    /// - Returns: how many went.
    func deleteRows(of kind: RetainedKind, _ queues: [Candidate]) async throws -> Int {
        try await delete(
            """
            DELETE FROM streamforge.\(raw: kind.rawValue) WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM streamforge.\(raw: kind.rawValue)
                WHERE queue_id = ANY(\(queues.map(\.queueID))::text[])
                LIMIT \(policy.rowsMax) FOR UPDATE SKIP LOCKED))
            """)
    }

    /// The same for events, up to the number that each queue had when it was looked at: one that came since
    /// is in no archive yet.
    func deleteEvents(_ queues: [Candidate]) async throws -> Int {
        try await delete(
            """
            DELETE FROM streamforge.events WHERE ctid = ANY(ARRAY(
                SELECT e.ctid
                FROM unnest(\(queues.map(\.queueID))::text[], \(queues.map(\.eventNumber))::bigint[])
                    AS old(queue_id, number)
                JOIN streamforge.events e ON e.queue_id = old.queue_id AND e.number <= old.number
                LIMIT \(policy.rowsMax) FOR UPDATE OF e SKIP LOCKED))
            """)
    }

    /// Marks those of the queues that have no event left.
    func setHistoryDeleted(_ queues: [Candidate]) async throws -> [String] {
        try await ids(
            """
            UPDATE streamforge.queues q SET is_history_deleted = true
            WHERE q.queue_id = ANY(\(queues.map(\.queueID))::text[])
            AND NOT EXISTS (SELECT FROM streamforge.events e WHERE e.queue_id = q.queue_id)
            RETURNING q.queue_id
            """)
    }

    /// Deletes those of the queues that have nothing left but a few rows the cascade takes, unless an event
    /// came meanwhile; leaves word for the projection.
    func deleteQueues(_ queues: [Candidate]) async throws -> [String] {
        let known = queues.map { "\($0.queueID)/\($0.eventNumber)" }
        return try await ids(
            """
            WITH gone AS (
                DELETE FROM streamforge.queues q
                WHERE q.queue_id = ANY(\(queues.map(\.queueID))::text[])
                AND q.queue_id || '/' || q.event_number = ANY(\(known)::text[])
                AND NOT EXISTS (SELECT FROM streamforge.instances i WHERE i.queue_id = q.queue_id)
                RETURNING q.queue_id),
            word AS (
                INSERT INTO streamforge.removed_queues (queue_id) SELECT queue_id FROM gone
                WHERE EXISTS (SELECT FROM streamforge.projections) ON CONFLICT DO NOTHING)
            SELECT queue_id FROM gone
            """)
    }

    func deleteIdempotencyKeys() async throws -> Int {
        try await delete(
            """
            DELETE FROM streamforge.idempotency_keys WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM streamforge.idempotency_keys
                WHERE created_at < now() - make_interval(days => \(EngineStore.idempotencyKeyDays)::int)
                LIMIT \(policy.rowsMax) FOR UPDATE SKIP LOCKED))
            """)
    }

    func deleteDeadLetters() async throws -> Int {
        try await delete(
            """
            DELETE FROM streamforge.dead_letters WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM streamforge.dead_letters
                WHERE first_seen < now() - make_interval(days => \(DeadLetter.keepDays)::int)
                LIMIT \(policy.rowsMax) FOR UPDATE SKIP LOCKED))
            """)
    }

    private func delete(_ query: PostgresQuery) async throws -> Int {
        try await transaction([query]).first?.affectedRows ?? 0
    }

    private func ids(_ query: PostgresQuery) async throws -> [String] {
        try await transaction([query]).first?.map { try $0["queue_id", as: String.self] } ?? []
    }

    @discardableResult
    private func transaction(_ queries: [PostgresQuery]) async throws -> [PostgresResult] {
        guard !queries.isEmpty else { return [] }
        return try await connection.withTransaction { transaction in
            try await transaction.execute(
                "SET LOCAL lock_timeout = \(raw: String(policy.lockWait.milliseconds))")
            return try await transaction.execute(queries)
        }
    }
}
