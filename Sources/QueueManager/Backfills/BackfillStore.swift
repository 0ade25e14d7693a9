import PostgresBridge
import Workflow

/// A backfill as it is stored.
package struct BackfillRow: Sendable {
    package var name: ObjectName
    /// In the order of creation.
    package var number: Int64
    package var spec: BackfillSpec
    package var state: BackfillMachine.State
    package var createdAt: String
    package var endedAt: String?
    /// Unix milliseconds of the database's clock.
    package var now: Int64

    static func columns(_ clock: DatabaseClock) -> String {
        """
        name, number, spec::text AS spec, state, \(timeText("created_at")), \(timeText("ended_at")), \
        \(clock.sql()) AS now
        """
    }

    init(_ row: PostgresRow) throws {
        name = try row.objectName("name")
        number = try row["number", as: Int64.self]
        let text = try row["spec", as: String.self]
        do {
            let reader = try ObjectReader(
                try StoredJSON.decode(text), path: "", known: BackfillSpec.fields)
            spec = try BackfillSpec(reader)
        } catch is RequestError {
            throw StoredValueError(column: "spec", value: text)
        }
        state = try row.word("state", as: BackfillMachine.State.self)
        createdAt = try row["created_at", as: String.self]
        endedAt = try row["ended_at", as: String?.self]
        now = try row["now", as: Int64.self]
    }
}

/// One shard as it is stored.
package struct ShardRow: Sendable {
    package var number: Int
    package var machine: ShardMachine
    package var queueID: QueueID?
    package var startedAt: String?
    package var endedAt: String?

    static let columns = """
        number, state, attempt, is_wanted, reason, queue_id, \
        \(timeText("started_at")), \(timeText("ended_at"))
        """

    init(_ row: PostgresRow) throws {
        number = try row["number", as: Int.self]
        machine = try ShardMachine(row)
        queueID = try row["queue_id", as: String?.self].flatMap { QueueID($0) }
        startedAt = try row["started_at", as: String?.self]
        endedAt = try row["ended_at", as: String?.self]
    }
}

extension ShardMachine {
    init(_ row: PostgresRow) throws {
        self.init(
            state: try row.word("state", as: State.self), attempt: try row["attempt", as: Int.self],
            isWanted: try row["is_wanted", as: Bool.self], reason: try row["reason", as: String?.self])
    }
}

/// Backfills and their shards in PostgreSQL. Every method is one transaction.
package struct BackfillStore: Sendable {
    let pool: PostgresPool
    let clock: DatabaseClock
    let claims: RowClaims

    package init(_ pool: PostgresPool, clock: DatabaseClock = DatabaseClock()) {
        self.pool = pool
        self.clock = clock
        claims = RowClaims(pool: pool, table: "streamforge.backfills", keyColumn: "name", clock: clock)
    }

    package static let pageMax = 200
    package static let shardPageMax = 1_000

    package enum Creation: Sendable, Hashable {
        case created
        /// The key made this one before.
        case known(ObjectName)
        case idempotencyMismatch
        case nameTaken
    }

    /// - Parameters:
    ///   - key: kept as long as the backfill.
    ///   - requestHash: of the canonical request, to tell a repeat from a reused key.
    package func create(
        _ name: ObjectName, _ spec: BackfillSpec, key: String?, requestHash: String
    ) async throws -> Creation {
        try await pool.withTransaction { transaction in
            let created = try await transaction.execute(
                """
                INSERT INTO streamforge.backfills (name, spec, idempotency_key, request_hash)
                VALUES (\(name.rawValue),
                \(PostgresJSON(try MessageCodec.encode(JSONValue.object(spec.json)))),
                \(optional: key), \(requestHash)) ON CONFLICT DO NOTHING
                """)
            if created.affectedRows == 1 {
                try await transaction.execute(
                    """
                    INSERT INTO streamforge.backfill_shards (backfill, number)
                    SELECT \(name.rawValue), n FROM generate_series(1, \(spec.shardCount)::int) AS n
                    """)
                return .created
            }
            guard let key else { return .nameTaken }
            let known = try await transaction.execute(
                "SELECT name, request_hash FROM streamforge.backfills WHERE idempotency_key = \(key)")
            guard let row = known.first else { return .nameTaken }
            guard try row["request_hash", as: String.self] == requestHash else { return .idempotencyMismatch }
            return .known(try row.objectName("name"))
        }
    }

    /// Answers a repeated request before anybody else is asked; nil when the key is new.
    package func known(key: String, requestHash: String) async throws -> Creation? {
        let rows = try await pool.execute(
            "SELECT name, request_hash FROM streamforge.backfills WHERE idempotency_key = \(key)")
        guard let row = rows.first else { return nil }
        return try row["request_hash", as: String.self] == requestHash
            ? .known(try row.objectName("name")) : .idempotencyMismatch
    }

    package func backfill(
        _ name: ObjectName
    ) async throws -> (row: BackfillRow, counts: ShardCounts, progress: BackfillProgress)? {
        try await pool.withTransaction(.init(isolation: .repeatableRead, isReadOnly: true)) { transaction in
            let rows = try await transaction.execute(
                """
                SELECT \(raw: BackfillRow.columns(clock)) FROM streamforge.backfills
                WHERE name = \(name.rawValue)
                """)
            guard let row = try rows.first.map(BackfillRow.init) else { return nil }
            let counts = try await Self.counts(name, transaction)
            let times = try await transaction.execute(
                """
                SELECT avg(extract(epoch FROM ended_at - started_at))::float8 AS mean
                FROM streamforge.backfill_shards WHERE backfill = \(name.rawValue) AND state = 'finished'
                """)
            let mean = try times.first.flatMap { try $0["mean", as: Double?.self] }
            return (
                row, counts,
                BackfillProgress(counts, parallelism: row.spec.parallelism, meanSeconds: mean)
            )
        }
    }

    static func counts(_ name: ObjectName, _ connection: PostgresConnection) async throws -> ShardCounts {
        let rows = try await connection.execute(
            """
            SELECT state, count(*) AS count FROM streamforge.backfill_shards
            WHERE backfill = \(name.rawValue) GROUP BY state
            """)
        var counts: [ShardMachine.State: Int] = [:]
        for row in rows {
            counts[try row.word("state", as: ShardMachine.State.self)] = try row["count", as: Int.self]
        }
        return ShardCounts(counts)
    }

    /// Newest first; `before` is the last number of the page before.
    package func backfills(before: Int64?, limit: Int) async throws -> [BackfillRow] {
        try await pool.execute(
            """
            SELECT \(raw: BackfillRow.columns(clock)) FROM streamforge.backfills
            WHERE number < \(before ?? .max) ORDER BY number DESC LIMIT \(limit)
            """
        ).map(BackfillRow.init)
    }

    /// In the order of time; `after` is the last number of the page before.
    package func shards(
        of name: ObjectName, state: ShardMachine.State?, after: Int, limit: Int
    ) async throws -> [ShardRow] {
        try await pool.execute(
            """
            SELECT \(raw: ShardRow.columns) FROM streamforge.backfill_shards
            WHERE backfill = \(name.rawValue) AND number > \(after)
            AND (\(optional: state?.rawValue)::text IS NULL OR state = \(optional: state?.rawValue)::text)
            ORDER BY number LIMIT \(limit)
            """
        ).map(ShardRow.init)
    }
}
