import PostgresBridge
import ServiceRuntime
import TestSupport
import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(2)))
struct InstanceWatchTests {
    private func counts(_ store: EngineStore) async throws -> [String: Int] {
        let counts = try await store.instanceCounts()
        return Dictionary(uniqueKeysWithValues: counts.map { ("\($0.key.target) \($0.key.state)", $0.count) })
    }

    @Test func `shows what waits and runs, without the waiting ones of a paused queue`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue(symbols: ["BTCUSDT", "ETHUSDT"])
            #expect(
                try await counts(engine.store) == [
                    "loader-api-candles waiting": 2, "arango-connector waiting": 2,
                ])
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 4 }
            try await engine.apply(engine.event(id, "load", .started, seq: 1))
            #expect(
                try await counts(engine.store) == [
                    "loader-api-candles running": 1, "loader-api-candles starting": 1,
                    "arango-connector starting": 2,
                ])
            let other = try await engine.createQueue("def456")
            _ = try await engine.store.request(.pause, of: other, actor: "api")
            #expect(try await counts(engine.store).keys.contains { $0.hasSuffix("waiting") } == false)

            let metrics = PrometheusRegistry()
            InstanceWatch(store: engine.store, metrics: metrics, observe: engine.observer)
                .show(try await engine.store.instanceCounts())
            let text = metrics.render()
            #expect(
                text.contains(#"streamforge_instances{state="starting",target="arango-connector"} 2"#),
                "\(text)")
            #expect(text.contains(#"streamforge_instances{state="waiting",target="dummy-service"} 0"#))
        }
    }

    @Test func `reads no queue that is over`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            try await pool.execute([
                """
                INSERT INTO streamforge.queues (queue_id, status, request, plan, as_of, is_cleaned, created_at)
                SELECT 'wf-fill-' || n, CASE WHEN n % 1000 = 0 THEN 'running' ELSE 'finished' END, 'null',
                    '{"steps":[{"id":"try","target":"dummy-service"}]}', 0, n % 1000 <> 0,
                    now() - n * interval '1 second'
                FROM generate_series(1, 30000) AS n
                """,
                """
                INSERT INTO streamforge.instances (queue_id, step, instance, position, status)
                SELECT queue_id, 'try', 'BTCUSDT', 0, CASE status WHEN 'running' THEN status ELSE 'finished' END
                FROM streamforge.queues
                """,
                "ANALYZE streamforge.queues", "ANALYZE streamforge.instances",
            ])
            #expect(try await counts(engine.store) == ["dummy-service running": 30])
            var query = EngineStore.instanceCountsQuery
            query.sql = "EXPLAIN (ANALYZE, FORMAT TEXT) " + query.sql
            let lines = try await pool.execute(query).map { try $0[0, as: String.self] }
            #expect(!lines.contains { $0.contains("Seq Scan") }, "\(lines.joined(separator: "\n"))")
        }
    }
}

extension PostgresPool {
    fileprivate func execute(_ queries: [PostgresQuery]) async throws {
        for query in queries { try await execute(query) }
    }
}
