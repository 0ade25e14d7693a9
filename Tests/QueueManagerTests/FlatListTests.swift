import Foundation
import PostgresBridge
import TestSupport
import Testing
import Workflow

@testable import QueueManager

/// Lists and the engine's own queries over very many queues: as quick as over few.
///
/// 100,000 queues; 1,000,000 with `SF_FULL=1`.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct FlatListTests {
    private static let isFull = ProcessInfo.processInfo.environment["SF_FULL"] == "1"
    private static let queueCount = isFull ? 1_000_000 : 100_000
    private static let openCount = 2_000
    private static let letterCount = 20_000
    private static let tables = [
        "queues", "instances", "events", "queue_symbols", "attempts", "dead_letters",
    ]
    private static var queueWithLetters: QueueID {
        guard let id = QueueID("wf-fill-\(suffix(5))") else { preconditionFailure("a made-up id is wrong") }
        return id
    }

    @Test func `no list and no query of the engine reads more when there are more queues`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            try await fill(pool)
            try await checkPlans(pool)
            try await checkPages(engine.store)
            try await checkRowsRead(engine, pool)
        }
    }

    // MARK: Lists

    /// Every combination of filters, first page and a page far down.
    private static var lists: [(name: String, isOpenOfSymbol: Bool, query: PostgresQuery)] {
        let far = QueueCursor(
            createdAtMicroseconds: 1_700_000_000_000_000 + Int64(queueCount / 3) * 1_000_000,
            queueID: "wf-fill-zzzzzz")
        var lists: [(String, Bool, PostgresQuery)] = []
        for symbol in [nil, "BTCUSDT", "RAREUSDT", "NONEUSDT"] {
            for status in [nil] + QueueStatus.allCases.map(Optional.some) {
                for cursor in [nil, far] {
                    let filter = QueueFilter(status: status, symbol: symbol)
                    let name =
                        "queues \(status?.rawValue ?? "any") \(symbol ?? "any") \(cursor == nil ? "" : "far")"
                    let isOpen = status.map { !$0.isFinal } ?? false
                    lists.append(
                        (name, isOpen && symbol != nil, EngineStore.list(filter, after: cursor, limit: 50)))
                }
            }
        }
        for filter in letterFilters {
            for after in [Int64(0), Int64(letterCount / 2)] {
                let name =
                    "letters \(filter.state?.rawValue ?? "any") \(filter.step?.rawValue ?? "any") after \(after)"
                lists.append(
                    (name, false, DeadLetterStore.list(queueWithLetters, filter, after: after, limit: 50)))
            }
        }
        lists.append(("feed", false, HistoryStore.page(after: .beginning, limit: 200)))
        return lists
    }

    private static var letterFilters: [DeadLetterFilter] {
        [nil, StepID("store")].flatMap { step in
            ([nil] + DeadLetter.State.allCases.map(Optional.some)).map {
                DeadLetterFilter(state: $0, step: step)
            }
        }
    }

    private func checkPlans(_ pool: PostgresPool) async throws {
        for list in Self.lists {
            var query = list.query
            query.sql = "EXPLAIN (ANALYZE, FORMAT JSON) " + query.sql
            let row = try #require(try await pool.execute(query).first)
            let text = try row[0, as: String.self]
            let plan = try MessageCodec.decode(JSONValue.self, fromText: text)
            let nodes = Self.nodes(of: plan)
            let scans = nodes.filter { $0["Node Type"] == .string("Seq Scan") }
            #expect(scans.isEmpty, "\(list.name) scans: \(text)")
            let rows = nodes.reduce(0.0) { $0 + Self.rowsRead($1) }
            // Open queues of a symbol are the only ones that a list looks at without showing them.
            let bound = Double(list.isOpenOfSymbol ? Self.openCount * 2 : 600)
            #expect(rows <= bound, "\(list.name) reads \(rows) rows: \(text)")
        }
    }

    /// Rows that a scan gave and those that it read in vain, over all its loops.
    private static func rowsRead(_ fields: [String: JSONValue]) -> Double {
        guard fields["Relation Name"] != nil || fields["Index Name"] != nil else { return 0 }
        let number = { (name: String) -> Double in
            switch fields[name] {
            case .integer(let value): Double(value)
            case .number(let value): value
            default: 0
            }
        }
        return (number("Actual Rows") + number("Rows Removed by Filter")) * number("Actual Loops")
    }

    private static func nodes(of plan: JSONValue) -> [[String: JSONValue]] {
        switch plan {
        case .array(let items): items.flatMap(nodes)
        case .object(let fields):
            (fields["Node Type"] == nil ? [] : [fields]) + nodes(of: fields["Plan"] ?? .null)
                + nodes(of: fields["Plans"] ?? .null)
        default: []
        }
    }

    private func checkPages(_ store: EngineStore) async throws {
        for (status, symbol) in [
            (nil, nil), (.finished, nil), (nil, "BTCUSDT"), (.finished, "BTCUSDT"), (.running, "BTCUSDT"),
            (.failed, "RAREUSDT"), (nil, "RAREUSDT"),
        ] as [(QueueStatus?, String?)] {
            var times: [Duration] = []
            var rows = 0
            for _ in 0..<20 {
                let start = ContinuousClock.now
                rows = try await store.queues(status: status, symbol: symbol, after: nil, limit: 50).rows
                    .count
                times.append(start.duration(to: .now))
            }
            let median = times.sorted()[times.count / 2]
            print("page of \(status?.rawValue ?? "any") \(symbol ?? "any"): \(rows) rows, median \(median)")
            // Generous: the machine may be busy. A scan of the table takes far longer.
            #expect(median < .milliseconds(100))
        }
    }

    // MARK: The engine

    /// What the engine asks all the time, by the server's own count of scans and rows: also right for
    /// statements that this test does not know.
    private func checkRowsRead(_ engine: EngineFixture, _ pool: PostgresPool) async throws {
        let store = engine.store
        let id = try #require(QueueID("wf-fill-\(Self.suffix(5))"))
        let open = try #require(QueueID("wf-fill-\(Self.suffix(Self.queueCount - 5))"))
        // As often as a statement is run before PostgreSQL settles on one plan for it.
        for round in 0..<12 {
            let before = try await Self.reads(pool)
            _ = try await store.queues(status: nil, symbol: "BTCUSDT", after: nil, limit: 50)
            _ = try await store.queues(status: .failed, symbol: nil, after: nil, limit: 50)
            _ = try await store.queue(id)
            _ = try await store.events(of: id, after: 0, limit: 100)
            let due = LookRequest(.due(limit: 8, token: "test-\(round)")) {
                engine.broker.eventPartition(of: $0)
            }
            let looks = try await store.look(due) { _, _, _ in
                var plan = LookPlan()
                plan.effects = [.createTopics]
                return plan
            }
            #expect(looks.count == 8)
            try await store.renew(looks.map(\.claim))
            for look in looks { try await store.release(look.claim, lookAgain: 3_600_000) }
            _ = try await store.millisecondsToNextLook(limit: 1_000)
            try await store.requestLook(at: open)
            _ = try await DeadLetterStore(pool).waiting(limit: 10)
            _ = try await DeadLetterStore(pool).letter(7, of: id)
            _ = try await HistoryStore(pool).events(after: .beginning, limit: 100)
            _ = try await ProjectionStore(pool).queueIDs(after: id.rawValue, limit: 100)
            try await pool.withConnection { connection in
                let policy = RetentionPolicy(historyKeepDays: 1, queuesKeepDays: 1, archiveDirectory: nil)
                let retention = RetentionStore(connection: connection, policy: policy)
                let due = try await retention.dueHistories(days: 30, skipping: [])
                #expect(due.count == policy.queuesMax)
                let gone = try await retention.dueQueues(days: 30, skipping: [])
                #expect(gone.isEmpty)
            }
            let after = try await Self.reads(pool)
            #expect(after.scans == before.scans, "round \(round)")
            #expect(after.rows - before.rows < Self.openCount * 4, "round \(round)")
        }
    }

    private static func reads(_ pool: PostgresPool) async throws -> (scans: [String: Int], rows: Int) {
        // Every connection of the pool hands in what it counted.
        for _ in 0..<8 { try await pool.execute("SELECT pg_stat_force_next_flush()") }
        let rows = try await pool.execute(
            """
            SELECT relname, seq_scan AS scans, coalesce(idx_tup_fetch, 0) + seq_tup_read AS rows
            FROM pg_stat_user_tables WHERE schemaname = 'streamforge' AND relname = ANY(\(tables)::text[])
            """)
        var reads = (scans: [String: Int](), rows: 0)
        for row in rows {
            reads.scans[try row["relname", as: String.self]] = try row["scans", as: Int.self]
            reads.rows += try row["rows", as: Int.self]
        }
        return reads
    }

    // MARK: Filling

    private func fillLetters(_ connection: PostgresConnection) async throws {
        // Nearly all were replayed.
        try await connection.execute(
            """
            INSERT INTO streamforge.dead_letters (queue_id, key, step, instance, topic, partition,
                record_offset, reason, value, value_bytes, headers, state)
            SELECT \(Self.queueWithLetters.rawValue), 't/0/' || n,
                CASE n % 2 WHEN 0 THEN 'store' ELSE 'other' END, 'BTCUSDT', 't', 0, n, 'bad', '{}', 2, '[]',
                CASE n % 500 WHEN 0 THEN 'open' ELSE 'replayed' END
            FROM generate_series(1, \(Self.letterCount)::int) AS n
            """)
    }

    private static func suffix(_ index: Int) -> String {
        String(1_000_000_000 + index).suffix(6).lowercased()
    }

    private func fill(_ pool: PostgresPool) async throws {
        let started = ContinuousClock.now
        try await pool.withConnection { connection in
            try await connection.setStatementTimeout(.seconds(300))
            // Loading only: checks and triggers would take most of the time.
            try await connection.execute("SET session_replication_role = replica")
            try await fillRows(connection)
            try await fillLetters(connection)
            try await connection.execute("SET session_replication_role = origin")
            try await connection.execute("ANALYZE")
        }
        print("filled \(Self.queueCount) queues in \(started.duration(to: .now))")
    }

    private func fillRows(_ connection: PostgresConnection) async throws {
        let count = Self.queueCount
        let firstOpen = count - Self.openCount
        let plan = "{\"steps\":[],\"symbols\":[],\"time_range\":\"2024-08-01:2024-08-01\"}"
        // Every second queue is of one symbol, one in 50,000 of a rare one; one in 1,000 failed.
        try await connection.execute(
            """
            INSERT INTO streamforge.queues (queue_id, status, request, plan, as_of, created_at, started_at,
                finished_at, event_number, look_at, is_cleaned)
            SELECT 'wf-fill-' || right((1000000000 + i)::text, 6),
                CASE WHEN i >= \(firstOpen)::int THEN (ARRAY['pending', 'running', 'paused'])[1 + i % 3]
                WHEN i % 1000 = 0 THEN 'failed' ELSE 'finished' END,
                '{}', jsonb_set(\(plan)::jsonb, '{symbols}', jsonb_build_array(CASE
                WHEN i % 50000 = 7 THEN 'RAREUSDT'
                WHEN i % 2 = 0 THEN 'BTCUSDT' ELSE 'S' || i % 500 || 'USDT' END)), 1,
                to_timestamp(1700000000 + i), to_timestamp(1700000000 + i),
                CASE WHEN i < \(firstOpen)::int THEN to_timestamp(1700000010 + i) END, 3,
                to_timestamp(1700000000 + i), i < \(firstOpen)::int
            FROM generate_series(0, \(count - 1)::int) AS i
            """)
        try await connection.execute(
            """
            INSERT INTO streamforge.queue_symbols (queue_id, symbol, phase, created_at)
            SELECT queue_id, plan->'symbols'->>0, streamforge.queue_phase(status), created_at
            FROM streamforge.queues
            """)
        try await connection.execute(
            """
            INSERT INTO streamforge.instances (queue_id, step, instance, position, status)
            SELECT queue_id, 'load', 'BTCUSDT', 0, 'finished' FROM streamforge.queues
            """)
        try await connection.execute(
            """
            INSERT INTO streamforge.attempts (queue_id, step, instance, attempt, control_partition,
                control_offset, lease_until, ended_at, is_gone)
            SELECT queue_id, 'load', 'BTCUSDT', 1, 0, 0, created_at, created_at, true FROM streamforge.queues
            """)
        // The history of every fifth queue is enough to make a scan of it long.
        try await connection.execute(
            """
            INSERT INTO streamforge.events (queue_id, number, kind, actor)
            SELECT queue_id, n, 'queue_created', 'test' FROM streamforge.queues, generate_series(1, 3) AS n
            WHERE as_of = 1 AND right(queue_id, 1) IN ('0', '5')
            """)
    }
}
