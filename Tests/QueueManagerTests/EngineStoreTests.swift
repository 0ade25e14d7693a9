import TestSupport
import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(2)))
struct EngineStoreTests {
    private func newQueue(_ suffix: String, key: String?, hash: String = "hash") throws -> NewQueue {
        let body = JSONValue.object([
            "symbol": .string("BTCUSDT"), "type": .string("api_candles_5m"),
            "time_range": .string("2024-08-01:2024-08-01"),
        ])
        return NewQueue(
            queueID: try #require(QueueID("wf-test-\(suffix)")), plan: try PlanBuilder().build(body),
            request: body,
            asOf: 1, traceparent: nil, idempotencyKey: key, requestHash: hash)
    }

    @Test func `one key makes one queue, however many ask at once`() async throws {
        try await withPostgres { pool in
            let store = EngineStore(pool)
            try await store.migrate()
            let known = try await withThrowingTaskGroup(of: Bool.self) { group in
                for index in 0..<8 {
                    let queue = try newQueue("aaaaa\(index)", key: "key")
                    group.addTask {
                        if case .known = try await store.create(queue) { true } else { false }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(known.filter { $0 }.count == 7)
            let page = try await store.queues(status: nil, symbol: nil, after: nil, limit: 10)
            #expect(page.rows.count == 1)
            let other = try await store.create(newQueue("bbbbbb", key: "key", hash: "other"))
            guard case .idempotencyMismatch = other else {
                Issue.record("another request with the same key was taken: \(other)")
                return
            }
        }
    }

    @Test func `pages through all queues once, newest first`() async throws {
        try await withPostgres { pool in
            let store = EngineStore(pool)
            try await store.migrate()
            for index in 0..<25 { _ = try await store.create(newQueue("q\(10000 + index)", key: nil)) }
            var seen: [String] = []
            var cursor: QueueCursor?
            repeat {
                let page = try await store.queues(
                    status: .pending, symbol: "BTCUSDT", after: cursor, limit: 10)
                seen += page.rows.map(\.queueID.rawValue)
                cursor = try page.next.map { try #require(QueueCursor($0.text)) }
            } while cursor != nil
            #expect(seen == (0..<25).reversed().map { "wf-test-q\(10000 + $0)" })
            #expect(try await store.queues(status: .failed, symbol: nil, after: nil, limit: 5).rows.isEmpty)
        }
    }

    @Test func `applies an event once and only from the worker that owns the attempt`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            let started = try engine.event(id, "load", .started, seq: 1)
            #expect(try await engine.apply(started).applied == 1)
            #expect(try await engine.apply(started).applied == 0)
            let stranger = try engine.event(id, "load", .finished, seq: 9, worker: "w2")
            #expect(try await engine.apply(stranger).applied == 0)
            let unknown = try engine.event(id, "load", .started, attempt: 7, seq: 1)
            #expect(try await engine.apply(unknown).applied == 0)
        }
    }

    @Test func `events of an older attempt are history only`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            engine.launcher.end("load[BTCUSDT]/1")
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.contains("load[BTCUSDT]/2") }
            let late = try engine.event(id, "load", .finished, seq: 5, counts: .init(recordsWritten: 5))
            #expect(try await engine.apply(late).applied == 1)
            let row = try #require(try await engine.store.queue(id)?.instances.first)
            #expect(
                row.machine.state == .starting && row.machine.attempt == 2 && row.counts.recordsWritten == 0)
        }
    }

    @Test func `a reader that lost its partition moves nothing`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            let partition = engine.broker.eventPartition(of: id)
            let mine = try #require(
                try await engine.store.renewPartitions(count: 12, owner: "one", caughtUp: [], upTo: 0)
                    .partitions.first { $0.partition == partition })
            try await engine.store.disownPartitions(owner: "one")
            _ = try await engine.store.renewPartitions(count: 12, owner: "two", caughtUp: [], upTo: 0)
            await #expect(throws: PartitionLost(partition: partition)) {
                try await engine.store.apply(
                    [EventBatch(from: mine, events: [], nextOffset: 5)], owner: "one", look: nil
                ) { _, _, _ in false }
            }
        }
    }

    @Test func `a queue is held by one claim at a time, and a lost claim writes nothing`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            let due = { (token: String) in
                LookRequest(.due(limit: 8, token: token)) { engine.broker.eventPartition(of: $0) }
            }
            let keep: @Sendable (inout QueueState, LookFacts, QueueClaim) -> LookPlan = { _, _, _ in
                var plan = LookPlan()
                plan.effects = [.createTopics]
                return plan
            }
            let claim = try #require(try await engine.store.look(due("a"), keep).first?.claim)
            #expect(try await engine.store.look(due("b"), keep).isEmpty)
            // Asked for while it is held: whoever holds it looks again.
            _ = try await engine.store.request(.stop, of: id, actor: "api")
            #expect(try await engine.store.look(due("b"), keep).isEmpty)
            let again = LookRequest(.claimed([claim])) { engine.broker.eventPartition(of: $0) }
            let seen = try await engine.store.look(again) { queue, _, _ in
                #expect(queue.status == .stopping)
                return LookPlan()
            }
            #expect(seen.count == 1)
            let lost = try await engine.store.look(again) { _, _, _ in
                Issue.record("a claim was given back and is still good")
                return LookPlan()
            }
            #expect(lost.isEmpty)
        }
    }

    @Test func `a claim that is not renewed runs out, a renewed one does not`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            _ = try await engine.createQueue()
            let request = LookRequest(.due(limit: 8, token: "a")) { engine.broker.eventPartition(of: $0) }
            let claim = try #require(
                try await engine.store.look(request) { _, _, _ in
                    var plan = LookPlan()
                    plan.effects = [.createTopics]
                    return plan
                }.first?.claim)
            try await pool.execute("UPDATE streamforge.queues SET look_at = now() - interval '1 s'")
            try await engine.store.renew([claim])
            #expect(try await engine.store.millisecondsToNextLook(limit: 10_000) > 1_000)
            try await pool.execute("UPDATE streamforge.queues SET look_at = now() - interval '1 s'")
            let other = LookRequest(.due(limit: 8, token: "b")) { engine.broker.eventPartition(of: $0) }
            #expect(try await engine.store.look(other) { _, _, _ in LookPlan() }.count == 1)
            try await engine.store.renew([claim])
            #expect(try await engine.store.millisecondsToNextLook(limit: 10_000) == 10_000)
        }
    }
}
