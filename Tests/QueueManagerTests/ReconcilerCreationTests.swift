import PostgresBridge
import TestSupport
import Testing
import Workflow

@testable import QueueManager

/// Queues that a reconciler creates and takes over at once, over a real database.
@Suite(.timeLimit(.minutes(2)))
struct ReconcilerCreationTests {
    private static func queue(_ suffix: String) throws -> NewQueue {
        let step = PlannedStep(
            id: try #require(StepID("work")), target: .dummyService, type: "dummy", interval: nil)
        return NewQueue(
            queueID: try #require(QueueID("wf-test-\(suffix)")),
            plan: Plan(symbols: ["BTCUSDT"], timeRange: "2024-08-01:2024-08-01", steps: [step]),
            request: .object([:]), asOf: 1, traceparent: nil, idempotencyKey: nil, requestHash: "hash")
    }

    /// A reconciler that knows the broker, and what it was handed.
    private func ready(_ engine: EngineFixture) async throws -> (Reconciler, Recorded<LookResult>) {
        let (reconciler, handed) = (engine.reconciler, Recorded<LookResult>())
        try await reconciler.refreshControlEnds()
        reconciler.setCarrier {
            handed.append($0)
            return true
        }
        return (reconciler, handed)
    }

    private func isClaimed(_ pool: PostgresPool, _ id: QueueID) async throws -> Bool {
        let rows = try await pool.execute(
            "SELECT claim_token FROM streamforge.queues WHERE queue_id = \(id.rawValue)")
        return try #require(rows.first)["claim_token", as: String?.self] != nil
    }

    @Test func `a new queue is answered first, then launched without anybody finding it`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let (reconciler, handed) = try await ready(engine)
            let queue = try Self.queue("abc123")
            let answers = try await reconciler.create([queue])
            guard case .created? = answers.first else {
                Issue.record("not created: \(answers)")
                return
            }
            #expect(engine.launcher.launched.isEmpty && handed.all.count == 1)
            #expect(try await engine.reconciler.round() == 0)
            for claimed in handed.all { await reconciler.carryOut(claimed) }
            #expect(engine.launcher.launched == ["work[BTCUSDT]/1"])
            #expect(try await !isClaimed(pool, queue.queueID))
            let history = try #require(try await engine.store.events(of: queue.queueID, after: 0, limit: 9))
            #expect(
                history.events.map(\.kind) == [
                    "queue_created", "queue_running", "attempt_created", "attempt_launched",
                ])
        }
    }

    @Test func `a queue with topics gets them before it runs`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let (reconciler, handed) = try await ready(engine)
            var queue = try Self.queue("abc123")
            queue.plan = try PlanBuilder().build(
                .object([
                    "symbol": .string("BTCUSDT"), "type": .string("api_candles_5m"),
                    "time_range": .string("2024-08-01:2024-08-01"),
                ]))
            _ = try await reconciler.create([queue])
            #expect(try await engine.store.status(of: queue.queueID) == .pending)
            for claimed in handed.all { await reconciler.carryOut(claimed) }
            #expect(engine.topics.all.count == 2 && engine.launcher.launched.count == 2)
            #expect(try await engine.store.status(of: queue.queueID) == .running)
        }
    }

    @Test func `a replica that dies after the commit is followed by another`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let (reconciler, _) = try await ready(engine)
            let queue = try Self.queue("abc123")
            _ = try await reconciler.create([queue])
            #expect(try await isClaimed(pool, queue.queueID))
            try await pool.execute("UPDATE streamforge.queues SET look_at = now() - interval '1 s'")
            try await engine.reconcile(queue.queueID) { _, _ in engine.launcher.launched.count == 1 }
            #expect(engine.launcher.launched == ["work[BTCUSDT]/1"])
        }
    }

    @Test func `who carries nothing out claims nothing`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let (reconciler, handed) = try await ready(engine)
            reconciler.setCarrier(nil)
            let queue = try Self.queue("abc123")
            _ = try await reconciler.create([queue])
            #expect(try await !isClaimed(pool, queue.queueID) && handed.all.isEmpty)
            try await engine.reconcile(queue.queueID) { _, _ in engine.launcher.launched.count == 1 }
        }
    }

    @Test func `a hand-over that comes too late gives the claim back`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let (reconciler, _) = try await ready(engine)
            reconciler.setCarrier { _ in false }
            let queue = try Self.queue("abc123")
            _ = try await reconciler.create([queue])
            #expect(try await !isClaimed(pool, queue.queueID) && reconciler.state.claims.isEmpty)
            try await engine.reconcile(queue.queueID) { _, _ in engine.launcher.launched.count == 1 }
        }
    }

    @Test func `creations leave half of the room to queues that are due`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let (reconciler, handed) = try await ready(engine)
            let half = Reconciler.claimedMax / 2
            let queues = try (0..<half + 3).map { try Self.queue("q\(10_000 + $0)") }
            _ = try await reconciler.create(queues)
            #expect(handed.all.count == half && reconciler.state.claims.count == half)
            #expect(try await reconciler.create([try Self.queue("abc123")]).count == 1)
            #expect(handed.all.count == half)
            #expect(try await engine.reconciler.round() == 4)
        }
    }

    @Test func `without the broker nothing is launched and nothing is claimed`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            engine.isBrokerAway.value = true
            let reconciler = engine.reconciler
            let handed = Recorded<LookResult>()
            reconciler.setCarrier {
                handed.append($0)
                return true
            }
            let queue = try Self.queue("abc123")
            _ = try await reconciler.create([queue])
            #expect(handed.all.isEmpty && reconciler.state.claims.isEmpty)
            engine.isBrokerAway.value = false
            try await engine.reconcile(queue.queueID) { _, _ in engine.launcher.launched.count == 1 }
        }
    }

    @Test func `a creation that fails gives its room back`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let (reconciler, handed) = try await ready(engine)
            let queue = try Self.queue("abc123")
            _ = try await reconciler.create([queue])
            await #expect(throws: PostgresError.self) { try await reconciler.create([queue]) }
            #expect(reconciler.state.claims == Set(handed.all.map(\.claim)))
            #expect(reconciler.state.reserveForCreation(.max).claims == Reconciler.claimedMax / 2 - 1)
        }
    }
}

@Suite
struct ClaimTableTests {
    private func claim(_ number: Int) throws -> QueueClaim {
        QueueClaim(queueID: try #require(QueueID("wf-test-q\(10_000 + number)")), token: "t")
    }

    @Test func `room is what is neither held nor promised`() throws {
        var table = ClaimTable(claimsMax: 4)
        #expect(table.reserve(3) == 3 && table.room == 1)
        #expect(table.reserve(3) == 1 && table.room == 0)
        #expect(table.reserve(1) == 0)
        table.settle(3, [try claim(1)])
        #expect(table.room == 2)
        table.settle(1, [])
        #expect(table.room == 3)
        table.remove(try claim(1))
        #expect(table.room == 4)
    }

    @Test func `some room is spared`() {
        var table = ClaimTable(claimsMax: 4)
        #expect(table.reserve(4, sparing: 2) == 2)
        #expect(table.reserve(1, sparing: 2) == 0)
        #expect(table.reserve(4) == 2)
    }
}
