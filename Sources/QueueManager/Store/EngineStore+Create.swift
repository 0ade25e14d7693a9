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

    package init(
        queueID: QueueID, plan: Plan, request: JSONValue, asOf: Int64, traceparent: String?,
        idempotencyKey: String?, requestHash: String
    ) {
        self.queueID = queueID
        self.plan = plan
        self.request = request
        self.asOf = asOf
        self.traceparent = traceparent
        self.idempotencyKey = idempotencyKey
        self.requestHash = requestHash
    }
}

extension EngineStore {
    package enum Creation: Sendable, Hashable {
        /// When, as RFC 3339 text.
        case created(at: String)
        /// The key is known with the same request: this queue was created then.
        case known(QueueID)
        case idempotencyMismatch
    }

    /// Idempotency keys are kept this long.
    package static let idempotencyKeyDays = 7

    package func create(_ queue: NewQueue) async throws -> Creation {
        guard let creation = try await create([queue]).first else {
            preconditionFailure("every queue gets its answer")
        }
        return creation
    }

    /// Creates queues in one transaction; each gets its own answer, in order.
    package func create(_ queues: [NewQueue]) async throws -> [Creation] {
        try await pool.withTransaction { transaction in
            let keys = Set(queues.compactMap(\.idempotencyKey)).sorted()
            if !keys.isEmpty {
                // Two transactions with one key: the second waits here and then sees the first's row. In a fixed
                // order, so that they cannot wait for each other.
                try await transaction.execute(
                    """
                    SELECT pg_advisory_xact_lock(hashtextextended('idempotency:' || key, 0))
                    FROM unnest(\(keys)::text[]) AS key
                    """)
            }
            var known = keys.isEmpty ? [:] : try await Self.known(keys, transaction)
            var fresh: [NewQueue] = []
            let answers = queues.map { queue -> Creation? in
                if let key = queue.idempotencyKey {
                    if let row = known[key] { return row.creation(for: queue.requestHash) }
                    known[key] = KnownKey(requestHash: queue.requestHash, queueID: queue.queueID)
                }
                fresh.append(queue)
                return nil
            }
            let createdAt = fresh.isEmpty ? "" : try await Self.insert(fresh, transaction)
            return answers.map { $0 ?? .created(at: createdAt) }
        }
    }

    /// Answers a repeated request without creating anything; nil when the key is new.
    package func known(idempotencyKey: String, requestHash: String) async throws -> Creation? {
        try await pool.withConnection {
            try await Self.known([idempotencyKey], $0)[idempotencyKey]?.creation(for: requestHash)
        }
    }

    private struct KnownKey {
        var requestHash: String
        var queueID: QueueID

        func creation(for hash: String) -> Creation {
            requestHash == hash ? .known(queueID) : .idempotencyMismatch
        }
    }

    private static func known(
        _ keys: [String], _ connection: PostgresConnection
    ) async throws -> [String: KnownKey] {
        let rows = try await connection.execute(
            """
            SELECT key, queue_id, request_hash FROM streamforge.idempotency_keys
            WHERE key = ANY(\(keys)::text[])
            AND created_at > now() - make_interval(days => \(idempotencyKeyDays)::int)
            """)
        return try rows.reduce(into: [:]) { known, row in
            known[try row["key", as: String.self]] = KnownKey(
                requestHash: try row["request_hash", as: String.self],
                queueID: try row.queueID("queue_id"))
        }
    }

    /// - Returns: when they were created: the transaction's time.
    private static func insert(
        _ queues: [NewQueue], _ transaction: PostgresConnection
    ) async throws -> String {
        let states = queues.map { QueueState.new($0) }
        let instances = queues.flatMap { queue in
            queue.plan.instances.enumerated().map { (queue: queue.queueID.rawValue, id: $1, position: $0) }
        }
        var statements: [PostgresQuery] = [
            """
            INSERT INTO streamforge.queues (queue_id, status, request, plan, as_of, traceparent, event_number)
            SELECT queue_id, 'pending', request::jsonb, plan::jsonb, as_of, traceparent, event_number
            FROM unnest(\(queues.map(\.queueID.rawValue))::text[],
            \(PostgresNullableArray(try queues.map { try MessageCodec.encodeText($0.request) }))::text[],
            \(PostgresNullableArray(try queues.map { try MessageCodec.encodeText($0.plan) }))::text[],
            \(queues.map(\.asOf))::bigint[], \(PostgresNullableArray(queues.map(\.traceparent)))::text[],
            \(states.map(\.eventNumber))::bigint[])
            AS x(queue_id, request, plan, as_of, traceparent, event_number)
            """,
            """
            INSERT INTO streamforge.instances (queue_id, step, instance, position)
            SELECT * FROM unnest(\(instances.map(\.queue))::text[], \(instances.map(\.id.step.rawValue))::text[],
            \(instances.map(\.id.instance))::text[], \(instances.map(\.position))::int[])
            """,
        ]
        if let history = try insertHistory(states) { statements.append(history) }
        let keyed = queues.compactMap { queue in queue.idempotencyKey.map { (key: $0, queue: queue) } }
        if !keyed.isEmpty {
            statements.append(
                """
                INSERT INTO streamforge.idempotency_keys (key, request_hash, queue_id)
                SELECT * FROM unnest(\(keyed.map(\.key))::text[], \(keyed.map(\.queue.requestHash))::text[],
                \(keyed.map(\.queue.queueID.rawValue))::text[])
                ON CONFLICT (key) DO UPDATE SET request_hash = excluded.request_hash,
                queue_id = excluded.queue_id, created_at = now()
                """)
        }
        statements.append("SELECT \(raw: timeText("now()", as: "created_at"))")
        let results = try await transaction.executeAndCommit(statements)
        guard let row = results.last?.first else { return "" }
        return try row["created_at", as: String.self]
    }
}
