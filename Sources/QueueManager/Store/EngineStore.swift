import MarketData
import PostgresBridge
import Workflow

/// The engine's state in PostgreSQL. Every method is one transaction; effects outside happen elsewhere.
package struct EngineStore: Sendable {
    let pool: PostgresPool
    let limits: InstanceLimits
    let plans = PlanCache()
    let known = InstanceCache()

    /// For the connections of a pool that an engine works with.
    ///
    /// Every statement of the engine finds its rows by key. Of a table that has grown since it was last analyzed
    /// the planner believes that it is small, and keeps a plan that reads all of it: on a new installation for a
    /// minute or more. Without these ways it takes the index, which costs nothing on a small table either. The
    /// penalty on a way that is left all the same would call the just-in-time compiler for.
    package static let sessionSettings = [
        "enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off",
    ]

    package init(_ pool: PostgresPool, limits: InstanceLimits = InstanceLimits()) {
        self.pool = pool
        self.limits = limits
    }

    /// Creates or upgrades the tables; safe when several replicas start at once.
    package func migrate() async throws {
        try await pool.migrate(EngineSchema.migrations, schema: "streamforge")
    }

    package func ping() async throws {
        try await pool.execute("SELECT 1")
    }
}

/// One queue as the API shows it.
package struct QueueRow: Sendable {
    package var queueID: QueueID
    package var status: QueueStatus
    /// 1, and one more with each retry.
    package var run: Int
    package var reason: String?
    package var plan: Plan
    package var asOf: Int64
    package var createdAt: String
    package var startedAt: String?
    package var finishedAt: String?
    /// End its attempts by force, without waiting for what they have in hand.
    package var isTerminated: Bool
    /// Milliseconds since it began to run, pauses not counted; nil before.
    package var elapsed: Int64?

    static let columns = """
        queue_id, status, run, reason, plan::text AS plan, as_of, \(timeText("created_at")), \
        \(timeText("started_at")), \(timeText("finished_at")), is_terminated, \
        (extract(epoch FROM coalesce(paused_at, clock_timestamp()) - started_at) * 1000)::bigint - paused_ms \
        AS elapsed
        """

    /// A queue that was just created.
    init(_ queue: NewQueue, createdAt: String) {
        queueID = queue.queueID
        status = .pending
        run = 1
        plan = queue.plan
        asOf = queue.asOf
        self.createdAt = createdAt
        isTerminated = false
    }

    init(_ row: PostgresRow, _ plans: PlanCache) throws {
        queueID = try row.queueID("queue_id")
        status = try row.word("status", as: QueueStatus.self)
        run = try row["run", as: Int.self]
        reason = try row["reason", as: String?.self]
        plan = try plans.plan(try row["plan", as: String.self])
        asOf = try row["as_of", as: Int64.self]
        createdAt = try row["created_at", as: String.self]
        startedAt = try row["started_at", as: String?.self]
        finishedAt = try row["finished_at", as: String?.self]
        isTerminated = try row["is_terminated", as: Bool.self]
        elapsed = try row["elapsed", as: Int64?.self]
    }
}

/// One instance as the engine and the API know it.
package struct InstanceRow: Sendable {
    package var id: InstanceID
    package var machine: InstanceMachine
    package var counts: InstanceCounts
    package var notBefore: Int64
    package var extra: JSONValue?
    package var startedAt: String?
    package var finishedAt: String?
    /// Milliseconds since its first attempt, pauses not counted; nil before.
    package var elapsed: Int64?

    static let columns = """
        i.step, i.instance, i.status, i.attempt, i.failures, i.is_wanted, i.reason, \
        (extract(epoch FROM i.not_before) * 1000)::bigint AS not_before, i.records_read, i.records_written, \
        i.duplicates, i.dead_letters, i.last_key, i.last_seq, i.extra::text AS extra, \
        \(timeText("i.started_at", as: "started_at")), \(timeText("i.finished_at", as: "finished_at")), \
        (SELECT (extract(epoch FROM coalesce(q.paused_at, clock_timestamp()) - i.started_at) * 1000)::bigint \
        - (q.paused_ms - i.paused_ms_before) \
        FROM streamforge.queues q WHERE q.queue_id = i.queue_id) AS elapsed
        """

    /// An instance of a queue that was just created.
    init(_ id: InstanceID, _ plan: Plan) {
        self.id = id
        machine = InstanceMachine(attemptsMax: plan.attemptsMax(id.step))
        counts = InstanceCounts()
        notBefore = 0
    }

    init(_ row: PostgresRow, attemptsMax: (StepID) -> Int) throws {
        let step = try row.stepID("step")
        id = InstanceID(step: step, instance: try row["instance", as: String.self])
        machine = InstanceMachine(
            state: try row.word("status", as: InstanceMachine.State.self),
            attempt: try row["attempt", as: Int.self], failures: try row["failures", as: Int.self],
            isWanted: try row["is_wanted", as: Bool.self], reason: try row["reason", as: String?.self],
            attemptsMax: attemptsMax(step))
        counts = InstanceCounts(
            recordsRead: try row["records_read", as: Int64.self],
            recordsWritten: try row["records_written", as: Int64.self],
            duplicates: try row["duplicates", as: Int64.self],
            deadLetters: try row["dead_letters", as: Int64.self],
            lastKey: try row["last_key", as: String?.self], lastSeq: try row["last_seq", as: Int64?.self])
        notBefore = try row["not_before", as: Int64.self]
        extra = try row["extra", as: String?.self].map {
            try MessageCodec.decode(JSONValue.self, fromText: $0)
        }
        startedAt = try row["started_at", as: String?.self]
        finishedAt = try row["finished_at", as: String?.self]
        elapsed = try row["elapsed", as: Int64?.self]
    }
}

extension PostgresRow {
    func queueID(_ column: String) throws -> QueueID {
        let text = try self[column, as: String.self]
        guard let id = QueueID(text) else { throw StoredValueError(column: column, value: text) }
        return id
    }

    func stepID(_ column: String) throws -> StepID {
        let text = try self[column, as: String.self]
        guard let id = StepID(text) else { throw StoredValueError(column: column, value: text) }
        return id
    }

    func word<Word: RawRepresentable>(_ column: String, as type: Word.Type) throws -> Word
    where Word.RawValue == String {
        let text = try self[column, as: String.self]
        guard let word = Word(rawValue: text) else { throw StoredValueError(column: column, value: text) }
        return word
    }
}

/// A value in our own tables that this version does not know, e.g. after a downgrade.
package struct StoredValueError: Error, Sendable, Equatable, CustomStringConvertible {
    package var column: String
    package var value: String

    package var description: String {
        "column \(column) holds \(value.prefix(80)), which this version does not know"
    }
}

/// A timestamp column as RFC 3339 text in UTC.
func timeText(_ column: String, as name: String? = nil) -> String {
    "to_char(\(column) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS \(name ?? column)"
}
