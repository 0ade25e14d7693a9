import PostgresBridge
import Workflow

/// Dead letters in PostgreSQL.
package struct DeadLetterStore: Sendable {
    package static let pageMax = 200

    let pool: PostgresPool

    package init(_ pool: PostgresPool) {
        self.pool = pool
    }

    // MARK: Copying

    /// A queue whose workers counted more (or other) dead letters than its topics had when they were read.
    struct Waiting: Sendable {
        var queueID: QueueID
        var plan: Plan
        /// Its runs so far.
        var runs: Int
        /// The workers' count before the topics are read.
        var told: Int64
    }

    /// Queues whose dead-letter topics have something new, at most `limit`, in any order.
    func waiting(limit: Int) async throws -> [Waiting] {
        try await pool.execute(
            """
            SELECT c.queue_id, q.plan::text AS plan, q.run, c.told
            FROM (SELECT i.queue_id, sum(i.dead_letters)::bigint AS told
                FROM streamforge.instances i JOIN streamforge.queues open USING (queue_id)
                WHERE i.dead_letters > 0 AND NOT open.is_cleaned GROUP BY i.queue_id) AS c
            JOIN streamforge.queues q USING (queue_id)
            WHERE c.told <> coalesce((SELECT min(t.told) FROM streamforge.dead_letter_topics t
                WHERE t.queue_id = c.queue_id), 0)
            ORDER BY random() LIMIT \(limit)
            """
        ).map { row in
            Waiting(
                queueID: try row.queueID("queue_id"),
                plan: try MessageCodec.decode(Plan.self, fromText: try row["plan", as: String.self]),
                runs: try row["run", as: Int.self], told: try row["told", as: Int64.self])
        }
    }

    /// The offset to read next, 0 for a topic that was never read.
    func position(of topic: String) async throws -> Int64 {
        let rows = try await pool.execute(
            "SELECT next_offset FROM streamforge.dead_letter_topics WHERE topic = \(topic)")
        return try rows.first.map { try $0["next_offset", as: Int64.self] } ?? 0
    }

    /// Stores letters and moves the topic's position, in one transaction.
    ///
    /// - Returns: how many were new; nil when another replica moved the position, and nothing was stored.
    func add(
        _ letters: [ReadLetter], of queueID: QueueID, topic: String, from: Int64, to next: Int64
    ) async throws -> Int? {
        try await pool.withTransaction { transaction in
            let moved = try await transaction.execute([
                """
                INSERT INTO streamforge.dead_letter_topics (topic, queue_id)
                VALUES (\(topic), \(queueID.rawValue)) ON CONFLICT DO NOTHING
                """,
                """
                UPDATE streamforge.dead_letter_topics SET next_offset = \(next)
                WHERE topic = \(topic) AND next_offset = \(from)
                """,
            ])
            guard moved[1].affectedRows == 1 else { return nil }
            guard !letters.isEmpty else { return 0 }
            let inserted = try await transaction.execute(try letters.map { try Self.insert($0, queueID) })
            return inserted.reduce(0) { $0 + $1.affectedRows }
        }
    }

    /// The key tells a repeat: it is the same letter, whatever became of it meanwhile.
    private static func insert(_ letter: ReadLetter, _ queueID: QueueID) throws -> PostgresQuery {
        """
        INSERT INTO streamforge.dead_letters (queue_id, key, step, instance, topic, partition, record_offset,
            reason, value, value_bytes, headers)
        VALUES (\(queueID.rawValue), \(letter.key), \(letter.place.id.step.rawValue),
            \(letter.place.id.instance), \(letter.topic), \(Int(letter.partition)), \(letter.offset),
            \(letter.reason), \(optional: letter.value), \(letter.valueBytes), \(PostgresJSON(try MessageCodec.encode(letter.headers))))
        ON CONFLICT (key) DO NOTHING
        """
    }

    /// Notes that the topics held all letters of this count.
    func setTold(_ told: Int64, topics: [String], of queueID: QueueID) async throws {
        try await pool.execute(
            """
            INSERT INTO streamforge.dead_letter_topics (topic, queue_id, told)
            SELECT topic, \(queueID.rawValue), \(told) FROM unnest(\(topics)::text[]) AS t(topic)
            ON CONFLICT (topic) DO UPDATE SET told = excluded.told
            """)
    }

    // MARK: Looking

    /// Letters after `number`, oldest first; nil when there is no such queue.
    package func letters(
        of queueID: QueueID, _ filter: DeadLetterFilter, after number: Int64, limit: Int
    ) async throws -> [DeadLetter]? {
        let letters = try await pool.execute(Self.list(queueID, filter, after: number, limit: limit))
            .map { try DeadLetter($0) }
        if letters.isEmpty, try await !isKnown(queueID) { return nil }
        return letters
    }

    package func letter(_ number: Int64, of queueID: QueueID) async throws -> DeadLetter? {
        try await pool.execute(
            """
            SELECT \(raw: DeadLetter.columns) FROM streamforge.dead_letters
            WHERE queue_id = \(queueID.rawValue) AND letter = \(number)
            """
        ).first.map { try DeadLetter($0) }
    }

    /// A statement of its own for each kind of filter; short runs, each in the order of an index, are merged.
    static func list(
        _ queueID: QueueID, _ filter: DeadLetterFilter, after number: Int64, limit: Int
    ) -> PostgresQuery {
        var query = QueryParts()
        let (queue, after) = (query.bind(queueID.rawValue), query.bind(number))
        let rows = query.bind(limit)
        let step = filter.step.map { "AND step = \(query.bind($0.rawValue))" } ?? ""
        let states = filter.state.map { [$0] } ?? DeadLetter.State.allCases
        let runs = states.map { state in
            """
            (SELECT letter FROM streamforge.dead_letters
            WHERE queue_id = \(queue) AND state = '\(state.rawValue)' \(step) AND letter > \(after)
            ORDER BY letter LIMIT \(rows))
            """
        }
        return query.query(
            """
            SELECT \(DeadLetter.columns)
            FROM (SELECT letter FROM (\(runs.joined(separator: " UNION ALL "))) AS runs
                ORDER BY letter LIMIT \(rows)) AS chosen
            JOIN streamforge.dead_letters USING (letter) WHERE queue_id = \(queue) ORDER BY letter
            """)
    }

    private func isKnown(_ queueID: QueueID) async throws -> Bool {
        try await !pool.execute(
            "SELECT 1 FROM streamforge.queues WHERE queue_id = \(queueID.rawValue)"
        ).isEmpty
    }
}
