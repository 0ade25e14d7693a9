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

    /// Creates a queue without looking at it.
    package func create(_ queue: NewQueue) async throws -> Creation {
        guard let creation = try await create([queue], look: nil).answers.first else {
            preconditionFailure("every queue gets its answer")
        }
        return creation
    }

    package func create(_ queues: [NewQueue], look: CreationLook?) async throws -> CreationReport {
        try await pool.withTransaction { transaction in
            let keys = Set(queues.compactMap(\.idempotencyKey)).sorted()
            var (known, facts) = try await Self.readAhead(keys, wantsFacts: look != nil, transaction)
            var (fresh, rows): ([NewQueue], [ScheduledQueue]) = ([], [])
            var report = CreationReport()
            var answers: [Creation?] = []
            for queue in queues {
                if let key = queue.idempotencyKey {
                    if let row = known[key] {
                        answers.append(row.creation(for: queue.requestHash))
                        continue
                    }
                    known[key] = KnownKey(requestHash: queue.requestHash, queueID: queue.queueID)
                }
                answers.append(nil)
                fresh.append(queue)
                rows.append(schedule(.new(queue), look, facts, &report))
            }
            let createdAt = fresh.isEmpty ? "" : try await insert(fresh, rows, transaction)
            report.answers = answers.map { $0 ?? .created(at: createdAt) }
            return report
        }
    }

    /// What is read before queues are created: keys that were used already, and what looks need to know.
    private static func readAhead(
        _ keys: [String], wantsFacts: Bool, _ transaction: PostgresConnection
    ) async throws -> (known: [String: KnownKey], facts: PartitionFacts?) {
        var statements: [PostgresQuery] = []
        if !keys.isEmpty {
            // Two transactions with one key: the second waits here and then sees the first's row. In a fixed
            // order, so that they cannot wait for each other.
            statements = [
                """
                SELECT pg_advisory_xact_lock(hashtextextended('idempotency:' || key, 0))
                FROM unnest(\(keys)::text[]) AS key
                """, knownKeys(keys),
            ]
        }
        if wantsFacts { statements.append(PartitionFacts.query) }
        guard !statements.isEmpty else { return ([:], nil) }
        let results = try await transaction.execute(statements)
        let known = keys.isEmpty ? [:] : try Self.known(results[1])
        guard wantsFacts, let facts = results.last else { return (known, nil) }
        return (known, try PartitionFacts(facts))
    }

    /// Looks at a new queue, if that may be.
    private func schedule(
        _ queue: QueueState, _ look: CreationLook?, _ facts: PartitionFacts?, _ report: inout CreationReport
    ) -> ScheduledQueue {
        var queue = queue
        guard let look, let facts, let plan = report.look(at: &queue, look, limits: limits, facts.look)
        else {
            report.noteUnlooked()
            return (queue, .soon)
        }
        return (
            queue, plan.effects.isEmpty ? .release(lookAgain: plan.lookAgain) : .claim(token: look.token)
        )
    }

    /// Answers a repeated request without creating anything; nil when the key is new.
    package func known(idempotencyKey: String, requestHash: String) async throws -> Creation? {
        try await pool.withConnection {
            try Self.known(try await $0.execute(Self.knownKeys([idempotencyKey])))[idempotencyKey]?
                .creation(for: requestHash)
        }
    }

    private struct KnownKey {
        var requestHash: String
        var queueID: QueueID

        func creation(for hash: String) -> Creation {
            requestHash == hash ? .known(queueID) : .idempotencyMismatch
        }
    }

    private static func knownKeys(_ keys: [String]) -> PostgresQuery {
        """
        SELECT key, queue_id, request_hash FROM streamforge.idempotency_keys
        WHERE key = ANY(\(keys)::text[])
        AND created_at > now() - make_interval(days => \(idempotencyKeyDays)::int)
        """
    }

    private static func known(_ rows: PostgresResult) throws -> [String: KnownKey] {
        try rows.reduce(into: [:]) { known, row in
            known[try row["key", as: String.self]] = KnownKey(
                requestHash: try row["request_hash", as: String.self],
                queueID: try row.queueID("queue_id"))
        }
    }
}
