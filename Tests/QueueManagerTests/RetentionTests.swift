import Foundation
import PostgresBridge
import TestSupport
import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(3)))
struct RetentionTests {
    private static func policy(archive: String? = nil) -> RetentionPolicy {
        var policy = RetentionPolicy(historyKeepDays: 30, queuesKeepDays: 90, archiveDirectory: archive)
        policy.rowsMax = 7
        policy.queuesMax = 3
        policy.pause = .zero
        policy.lockWait = .milliseconds(200)
        return policy
    }

    private func job(_ pool: PostgresPool, _ policy: RetentionPolicy = policy()) -> RetentionJob {
        RetentionJob(pool: pool, policy: policy, observe: .silent, sleep: { _ in })
    }

    /// Queues with 20 events each that ended so many days ago.
    private func fill(_ engine: EngineFixture, endedDaysAgo days: [Int]) async throws -> [QueueID] {
        var ids: [QueueID] = []
        for (index, days) in days.enumerated() {
            let id = try await engine.createQueue("queue\(index)")
            for number in 2...20 {
                try await engine.store.pool.execute(
                    EngineStore.historyInsert(id.rawValue, kind: "event_\(number)", actor: "test"))
            }
            try await engine.store.pool.execute(
                """
                UPDATE streamforge.queues SET status = 'finished', is_cleaned = true,
                finished_at = now() - make_interval(days => \(days)::int) WHERE queue_id = \(id.rawValue)
                """)
            ids.append(id)
        }
        return ids
    }

    private func eventCounts(_ store: EngineStore, _ ids: [QueueID]) async throws -> [Int?] {
        var counts: [Int?] = []
        for id in ids { counts.append(try await store.events(of: id, after: 0, limit: 100)?.events.count) }
        return counts
    }

    @Test func `deletes histories and queues when their time is over, and nothing else`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let ids = try await fill(engine, endedDaysAgo: [5, 40, 41, 42, 43, 100, 101, 29])
            let open = try await engine.createQueue("opened")
            try await pool.execute(
                """
                UPDATE streamforge.queues SET finished_at = now() - interval '1 year'
                WHERE queue_id = \(open.rawValue)
                """)
            try await pool.execute(
                """
                INSERT INTO streamforge.idempotency_keys (key, request_hash, queue_id, created_at)
                VALUES ('old', 'h', \(ids[0].rawValue), now() - interval '8 days'),
                ('new', 'h', \(ids[0].rawValue), now() - interval '6 days')
                """)
            #expect(try await job(pool).round())
            #expect(try await eventCounts(engine.store, ids) == [20, 0, 0, 0, 0, nil, nil, 20])
            #expect(try await eventCounts(engine.store, [open]) == [1])
            #expect(try await engine.store.queue(ids[1])?.instances.count == 2)
            let keys = try await pool.execute("SELECT key FROM streamforge.idempotency_keys")
            #expect(try keys.map { try $0[0, as: String.self] } == ["new"])
            for table in ["instances", "attempts", "queue_symbols"] {
                let left = try await pool.execute(
                    """
                    SELECT count(DISTINCT queue_id)::int FROM streamforge.\(raw: table)
                    WHERE queue_id = ANY(\([ids[5].rawValue, ids[6].rawValue])::text[])
                    """)
                #expect(try left[0][0, as: Int.self] == 0)
            }
            #expect(try await job(pool).round())
            #expect(try await eventCounts(engine.store, ids) == [20, 0, 0, 0, 0, nil, nil, 20])
        }
    }

    @Test func `passes by what somebody holds, without waiting, and takes it later`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let ids = try await fill(engine, endedDaysAgo: [100, 101, 102])
            try await pool.withConnection { reader in
                try await reader.execute("BEGIN")
                try await reader.execute(
                    "SELECT 1 FROM streamforge.events WHERE queue_id = \(ids[0].rawValue) AND number = 3 FOR SHARE"
                )
                try await reader.execute(
                    "SELECT 1 FROM streamforge.queues WHERE queue_id = \(ids[1].rawValue) FOR SHARE")
                let start = ContinuousClock.now
                let isDone = try await job(pool).round()
                #expect(isDone && start.duration(to: .now) < .seconds(20))
                let counts = try await eventCounts(engine.store, ids)
                #expect(counts == [1, 20, nil])
                try await reader.execute("COMMIT")
            }
            #expect(try await job(pool).round())
            #expect(try await eventCounts(engine.store, ids) == [nil, nil, nil])
        }
    }

    @Test func `only one replica is at it`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            _ = try await fill(engine, endedDaysAgo: [100])
            _ = try await pool.withAdvisoryLock("streamforge retention") { _ in
                let isDone = try await job(pool).round()
                #expect(!isDone)
            }
            #expect(try await job(pool).round())
        }
    }

    @Test func `a holder that is cancelled leaves no lock behind`() async throws {
        try await withPostgres { pool in
            let (held, hold) = AsyncStream.makeStream(of: Void.self)
            let holder = Task {
                try await pool.withAdvisoryLock("streamforge retention") { _ in
                    hold.yield()
                    try await Task.sleep(for: .seconds(60))
                }
            }
            for await _ in held { break }
            holder.cancel()
            let outcome = await holder.result
            #expect(throws: CancellationError.self) { try outcome.get() }
            let isTaken = try await pool.withAdvisoryLock("streamforge retention") { _ in true }
            #expect(isTaken == true)
        }
    }

    @Test func `nothing goes before it is in the archive, and an archive that fails loses nothing`()
        async throws
    {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let ids = try await fill(engine, endedDaysAgo: [40, 100])
            let folder = FileManager.default.temporaryDirectory.appending(path: uniqueName("archive"))
            let policy = Self.policy(archive: folder.path)
            await #expect(throws: ArchiveError.self) { try await job(pool, policy).round() }
            #expect(try await eventCounts(engine.store, ids) == [20, 20])

            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            // As a job leaves it that is killed while it writes.
            let day = try await endDay(ids[1], pool)
            try Data("{\"queue\":{}}\n{\"queue\":{\"que".utf8)
                .write(to: folder.appending(path: "queues-\(day).ndjson"))
            #expect(try await job(pool, policy).round())
            #expect(try await eventCounts(engine.store, ids) == [0, nil])
            let written = try lines(of: "queues-\(day).ndjson", in: folder)
            #expect(written.count == 2)
            let queue = try #require(written.last)
            #expect(queue["queue"]?["queue_id"]?.string == ids[1].rawValue)
            #expect(queue["instances"]?.items.count == 2)
            #expect(queue["events"]?.items.compactMap { $0["number"]?.integer } == Array(1...20))
            let otherDay = try await endDay(ids[0], pool)
            #expect(try lines(of: "queues-\(otherDay).ndjson", in: folder).count == 1)

            // Something happens to a queue whose history is in the archive: that is archived too.
            try await pool.execute(EngineStore.historyInsert(ids[0].rawValue, kind: "late", actor: "test"))
            try await pool.execute(
                "UPDATE streamforge.queues SET finished_at = finished_at - interval '70 days'")
            #expect(try await job(pool, policy).round())
            let file = try #require(
                try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().first)
            let kinds = try lines(of: file, in: folder).map { $0["events"]?.items.first?["kind"]?.string }
            #expect(kinds == ["late"])
        }
    }

    private func endDay(_ id: QueueID, _ pool: PostgresPool) async throws -> String {
        let rows = try await pool.execute(
            """
            SELECT to_char(now() AT TIME ZONE 'UTC' - interval '100 days', 'YYYY-MM-DD') AS gone,
            (SELECT to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') FROM streamforge.queues
            WHERE queue_id = \(id.rawValue)) AS day
            """)
        return try rows[0]["day", as: String?.self] ?? rows[0]["gone", as: String.self]
    }

    private func lines(of file: String, in folder: URL) throws -> [JSONValue] {
        let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
        #expect(text.hasSuffix("\n"))
        return try text.split(separator: "\n").map {
            try MessageCodec.decode(JSONValue.self, fromText: String($0))
        }
    }
}

extension JSONValue {
    subscript(_ name: String) -> JSONValue? {
        if case .object(let fields) = self { fields[name] } else { nil }
    }

    var items: [JSONValue] {
        if case .array(let items) = self { items } else { [] }
    }
}
