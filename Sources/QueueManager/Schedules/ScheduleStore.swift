import PostgresBridge
import Workflow

/// A schedule as it is stored.
package struct ScheduleRow: Sendable {
    package var name: ObjectName
    package var generation: Int64
    package var spec: ScheduleSpec
    package var isPaused: Bool
    package var pauseReason: String?
    /// Unix seconds.
    package var decidedUpTo: Int64
    package var firedCount: Int
    package var createdAt: String
    package var updatedAt: String
    /// Unix milliseconds of the database's clock.
    package var now: Int64

    static func columns(_ clock: DatabaseClock) -> String {
        """
        name, generation, spec::text AS spec, is_paused, pause_reason, decided_up_to, fired_count, \
        \(timeText("created_at")), \(timeText("updated_at")), \(clock.sql()) AS now
        """
    }

    init(_ row: PostgresRow) throws {
        name = try row.objectName("name")
        generation = try row["generation", as: Int64.self]
        let text = try row["spec", as: String.self]
        do {
            let json = try StoredJSON.decode(text)
            spec = try ScheduleSpec(try ObjectReader(json, path: "", known: ScheduleSpec.fields))
        } catch is RequestError {
            // E.g. a time zone that Foundation does not know any more.
            throw StoredValueError(column: "spec", value: text)
        }
        isPaused = try row["is_paused", as: Bool.self]
        pauseReason = try row["pause_reason", as: String?.self]
        decidedUpTo = try row["decided_up_to", as: Int64.self]
        firedCount = try row["fired_count", as: Int.self]
        createdAt = try row["created_at", as: String.self]
        updatedAt = try row["updated_at", as: String.self]
        now = try row["now", as: Int64.self]
    }

    /// The next fire times; none while it is paused, over, or has started as many queues as it may.
    package func nextFireTimes(_ count: Int) -> [Int64] {
        guard !isPaused else { return [] }
        var times: [Int64] = []
        var last = decidedUpTo
        let left = min(count, max(0, (spec.count ?? .max) - firedCount))
        while times.count < left, let next = spec.next(after: last) {
            times.append(next)
            last = next
        }
        return times
    }
}

/// Requests of ours as the database gives them back.
enum StoredJSON {
    /// The server writes blanks between members, so that a body of the longest form grows.
    static let bytesMax = QueueRoutes.bodyBytesMax * 2

    static func decode(_ text: String) throws(MessageError) -> JSONValue {
        try MessageCodec.decode(JSONValue.self, from: Array(text.utf8), bytesMax: bytesMax)
    }
}

extension PostgresRow {
    func objectName(_ column: String) throws -> ObjectName {
        let text = try self[column, as: String.self]
        guard let name = ObjectName(text) else { throw StoredValueError(column: column, value: text) }
        return name
    }
}

/// Schedules and their firings in PostgreSQL. Every method is one transaction.
package struct ScheduleStore: Sendable {
    let pool: PostgresPool
    let clock: DatabaseClock
    let claims: RowClaims

    package init(_ pool: PostgresPool, clock: DatabaseClock = DatabaseClock()) {
        self.pool = pool
        self.clock = clock
        claims = RowClaims(pool: pool, table: "streamforge.schedules", keyColumn: "name", clock: clock)
    }

    package static let pageMax = 200

    /// Unix milliseconds.
    package func now() async throws -> Int64 {
        try await pool.execute("SELECT \(raw: clock.sql()) AS now").first?["now", as: Int64.self] ?? 0
    }

    /// What became of a `PUT`.
    package enum Change: Sendable, Hashable { case created, replaced, unchanged }

    /// - Returns: false when there is one of that name; nothing was changed then.
    package func create(_ name: ObjectName, _ spec: ScheduleSpec) async throws -> Bool {
        try await insert(name, spec) { try await pool.execute($0) } == 1
    }

    /// Creates or replaces a schedule. Fire times that are over are not fired by the new form, and firings
    /// that were decided go on as they were.
    package func put(_ name: ObjectName, _ spec: ScheduleSpec) async throws -> Change {
        try await pool.withTransaction { transaction in
            let inserted = try await insert(name, spec) { try await transaction.execute($0) }
            if inserted == 1 { return .created }
            let rows = try await transaction.execute(
                """
                UPDATE streamforge.schedules SET spec = \(PostgresJSON(try Self.text(spec))),
                generation = nextval('streamforge.schedule_generations'), fired_count = 0,
                decided_up_to = greatest(decided_up_to, \(raw: clock.sql()) / 1000), updated_at = now(),
                look_at = 0, look_version = look_version + 1
                WHERE name = \(name.rawValue) AND spec <> \(PostgresJSON(try Self.text(spec)))
                """)
            return rows.affectedRows == 1 ? .replaced : .unchanged
        }
    }

    private func insert(
        _ name: ObjectName, _ spec: ScheduleSpec,
        _ execute: (PostgresQuery) async throws -> PostgresResult
    ) async throws -> Int {
        try await execute(
            """
            INSERT INTO streamforge.schedules (name, spec, decided_up_to)
            VALUES (\(name.rawValue), \(PostgresJSON(try Self.text(spec))), \(raw: clock.sql()) / 1000)
            ON CONFLICT (name) DO NOTHING
            """
        ).affectedRows
    }

    private static func text(_ spec: ScheduleSpec) throws -> String {
        try MessageCodec.encodeText(JSONValue.object(spec.json))
    }

    package func schedule(_ name: ObjectName) async throws -> ScheduleRow? {
        try await pool.execute(
            """
            SELECT \(raw: ScheduleRow.columns(clock)) FROM streamforge.schedules WHERE name = \(name.rawValue)
            """
        ).first.map(ScheduleRow.init)
    }

    /// By name; `after` is the last name of the page before.
    package func schedules(after: ObjectName?, limit: Int) async throws -> [ScheduleRow] {
        try await pool.execute(
            """
            SELECT \(raw: ScheduleRow.columns(clock)) FROM streamforge.schedules
            WHERE name > \(after?.rawValue ?? "") ORDER BY name LIMIT \(limit)
            """
        ).map(ScheduleRow.init)
    }

    /// Nothing is started until `resume`; what runs goes on. False when there is no such schedule.
    package func pause(_ name: ObjectName, reason: String?) async throws -> Bool {
        try await pool.execute(
            """
            UPDATE streamforge.schedules SET is_paused = true, pause_reason = \(optional: reason),
            look_at = 0, look_version = look_version + 1 WHERE name = \(name.rawValue)
            """
        ).affectedRows == 1
    }

    /// Goes on with the next fire time: those of the pause are left out. False when there is none.
    package func resume(_ name: ObjectName) async throws -> Bool {
        try await pool.execute(
            """
            UPDATE streamforge.schedules SET is_paused = false, pause_reason = NULL,
            decided_up_to = CASE WHEN is_paused THEN greatest(decided_up_to, \(raw: clock.sql()) / 1000)
                ELSE decided_up_to END,
            look_at = 0, look_version = look_version + 1 WHERE name = \(name.rawValue)
            """
        ).affectedRows == 1
    }

    /// Queues that were started go on. False when there is no such schedule.
    package func delete(_ name: ObjectName) async throws -> Bool {
        try await pool.execute("DELETE FROM streamforge.schedules WHERE name = \(name.rawValue)")
            .affectedRows == 1
    }
}
