import PostgresBridge
import Workflow

/// What `POST /queues/start` hands to the store.
package struct NewQueue: Sendable {
    package var queueID: QueueID
    package var plan: Plan
    /// The body as it came, for people.
    package var request: JSONValue
    /// Candles that closed before this are loaded (Unix milliseconds).
    package var asOf: Int64
    package var traceparent: String?
    package var idempotencyKey: String?
    /// SHA-256 of the canonical request, to tell a repeat from a reused key.
    package var requestHash: String
}

extension EngineStore {
    package enum Creation: Sendable {
        case created
        /// The key is known with the same request: this queue was created then.
        case known(QueueID)
        case idempotencyMismatch
    }

    /// Idempotency keys are kept this long.
    package static let idempotencyKeyDays = 7

    package func create(_ queue: NewQueue) async throws -> Creation {
        try await pool.withTransaction { transaction in
            if let key = queue.idempotencyKey {
                // Two requests with one key at once: the second waits here and then sees the first's row.
                try await transaction.execute(
                    "SELECT pg_advisory_xact_lock(hashtextextended(\("idempotency:" + key), 0))")
                if let known = try await Self.known(key, hash: queue.requestHash, transaction) {
                    return known
                }
            }
            try await Self.insert(queue, transaction)
            return .created
        }
    }

    /// Answers a repeated request without creating anything; nil when the key is new.
    package func known(idempotencyKey: String, requestHash: String) async throws -> Creation? {
        try await pool.withConnection { try await Self.known(idempotencyKey, hash: requestHash, $0) }
    }

    private static func known(
        _ key: String, hash: String, _ connection: PostgresConnection
    ) async throws -> Creation? {
        let rows = try await connection.execute(
            """
            SELECT queue_id, request_hash FROM streamforge.idempotency_keys
            WHERE key = \(key) AND created_at > now() - make_interval(days => \(idempotencyKeyDays)::int)
            """)
        guard let row = rows.first else { return nil }
        guard try row["request_hash", as: String.self] == hash else { return .idempotencyMismatch }
        return .known(try row.queueID("queue_id"))
    }

    private static func insert(_ queue: NewQueue, _ transaction: PostgresConnection) async throws {
        let id = queue.queueID.rawValue
        let instances = queue.plan.instances
        var statements: [PostgresQuery] = [
            """
            INSERT INTO streamforge.queues (queue_id, status, request, plan, as_of, traceparent)
            VALUES (\(id), 'pending', \(PostgresJSON(try MessageCodec.encode(queue.request))),
            \(PostgresJSON(try MessageCodec.encode(queue.plan))), \(queue.asOf), \(optional: queue.traceparent))
            """,
            """
            INSERT INTO streamforge.instances (queue_id, step, instance, position)
            SELECT \(id), step, instance, position - 1
            FROM unnest(\(instances.map(\.step.rawValue))::text[], \(instances.map(\.instance))::text[])
            WITH ORDINALITY AS planned(step, instance, position)
            """,
            historyInsert(
                id, kind: "queue_created", actor: "api",
                detail: ["instances": .integer(Int64(instances.count))]),
        ]
        if let key = queue.idempotencyKey {
            statements.append(
                """
                INSERT INTO streamforge.idempotency_keys (key, request_hash, queue_id)
                VALUES (\(key), \(queue.requestHash), \(id))
                ON CONFLICT (key) DO UPDATE SET request_hash = excluded.request_hash,
                queue_id = excluded.queue_id, created_at = now()
                """)
        }
        try await transaction.execute(statements)
    }

    /// Numbers the event under the queue's row lock, so that numbers have no gaps and commit in order.
    static func historyInsert(
        _ queueID: String, kind: String, actor: String, id: InstanceID? = nil, attempt: Int? = nil,
        detail: [String: JSONValue] = [:]
    ) -> PostgresQuery {
        // Encoding a dictionary of JSON values cannot fail but for a non-finite number, which none holds.
        let text = (try? MessageCodec.encodeText(JSONValue.object(detail))) ?? "{}"
        return """
            WITH numbered AS (
                UPDATE streamforge.queues SET event_number = event_number + 1 WHERE queue_id = \(queueID)
                RETURNING event_number)
            INSERT INTO streamforge.events (queue_id, number, kind, actor, step, instance, attempt, detail)
            SELECT \(queueID), event_number, \(kind), \(actor), \(optional: id?.step.rawValue), \(optional: id?.instance), \(optional: attempt),
            \(PostgresJSON(text)) FROM numbered
            """
    }
}
