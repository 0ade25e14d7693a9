import PostgresBridge
import TestSupport
import Testing
import Workflow

@testable import QueueManager

/// Locks, semaphores and limits over a real database.
@Suite(.timeLimit(.minutes(2)))
struct ResourceTests {
    private func create(
        _ engine: EngineFixture, _ suffix: String, locks: [String] = [], semaphores: [String] = [],
        priority: Int = 0
    ) async throws -> QueueID {
        var step = PlannedStep(
            id: try #require(StepID("w\(suffix)")), target: .dummyService, type: "dummy", interval: nil)
        step.locks = locks.compactMap(ResourceName.init)
        step.semaphores = semaphores.compactMap(ResourceName.init)
        var plan = Plan(symbols: ["BTCUSDT"], timeRange: "2024-08-01:2024-08-01", steps: [step])
        plan.priority = priority
        let id = try #require(QueueID("wf-test-\(suffix)"))
        _ = try await engine.store.create(
            NewQueue(
                queueID: id, plan: plan, request: .null, asOf: 0, traceparent: nil, idempotencyKey: nil,
                requestHash: ""))
        return id
    }

    private func live(_ engine: EngineFixture, _ ids: [QueueID]) async throws -> [QueueID] {
        var live: [QueueID] = []
        for id in ids {
            let instances = try #require(try await engine.store.queue(id)).instances
            if instances.contains(where: { $0.machine.state.hasLiveAttempt }) { live.append(id) }
        }
        return live
    }

    /// Rounds until so many of these queues run; then some more, in which nothing may change.
    private func settle(_ engine: EngineFixture, _ ids: [QueueID], live count: Int) async throws -> [QueueID]
    {
        let deadline = ContinuousClock.now + .seconds(20)
        while try await live(engine, ids).count != count, ContinuousClock.now < deadline {
            try await engine.reconciler.roundOrWait()
        }
        for _ in 0..<4 { try await engine.reconciler.roundOrWait() }
        let live = try await live(engine, ids)
        #expect(live.count == count)
        return live
    }

    private func finish(_ engine: EngineFixture, _ id: QueueID) async throws {
        try await engine.apply(engine.event(id, "w\(id.suffix)", .finished, seq: 9))
        engine.launcher.end("w\(id.suffix)[BTCUSDT]/1")
    }

    private func wait(_ engine: EngineFixture, _ id: QueueID) async throws -> WaitingFor? {
        let queue = try #require(try await engine.store.queue(id)).queue
        return try await engine.store.waits(of: queue).values.first
    }

    private func rows(_ pool: PostgresPool) async throws -> Int {
        let rows = try await pool.execute(
            """
            SELECT (SELECT count(*) FROM streamforge.resource_holds)
            + (SELECT count(*) FROM streamforge.resource_waits) AS count
            """)
        return try #require(rows.first)["count", as: Int.self]
    }

    @Test func `one of two queues has the lock, and the other says so and follows`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let first = try await create(engine, "aaaaaa", locks: ["gpu"])
            #expect(try await settle(engine, [first], live: 1) == [first])
            let second = try await create(engine, "bbbbbb", locks: ["gpu"])
            #expect(try await settle(engine, [first, second], live: 1) == [first])
            let wait = try #require(try await wait(engine, second))
            #expect(wait.resource == "lock:gpu" && wait.heldBy.map(\.queueID) == [first])
            try await finish(engine, first)
            try await engine.reconcile(second) { _, instances in instances[0].machine.state == .starting }
            try await finish(engine, second)
            try await engine.reconcile(second) { queue, _ in queue.status == .finished }
            for _ in 0..<4 { try await engine.reconciler.roundOrWait() }
            #expect(try await rows(pool) == 0)
        }
    }

    @Test func `a semaphore of two lets two of five run, and more when it is raised`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let name = try #require(ResourceName("pair"))
            #expect(try await engine.store.setSemaphore(name, permits: 2))
            var ids: [QueueID] = []
            for index in 0..<5 { ids.append(try await create(engine, "aaaaa\(index)", semaphores: ["pair"])) }
            _ = try await settle(engine, ids, live: 2)
            let row = try #require(try await engine.store.resources(after: nil, limit: 10).first)
            #expect(row.resource == "semaphore:pair" && row.permits == 2)
            #expect(row.held == 2 && row.waiting == 3 && row.holders.count == 2 && row.waiters.count == 3)
            #expect(try await !engine.store.setSemaphore(name, permits: 3))
            _ = try await settle(engine, ids, live: 3)
            #expect(try await engine.store.deleteSemaphore(name))
            #expect(try await !engine.store.deleteSemaphore(name))
        }
    }

    @Test func `the limits of a target and of all hold over queues`() async throws {
        try await withPostgres { pool in
            for limits in [InstanceLimits(byTarget: [.dummyService: 2]), InstanceLimits(overall: 2)] {
                try await pool.execute("DROP SCHEMA IF EXISTS streamforge CASCADE")
                let engine = try await EngineFixture(pool, limits: limits)
                var ids: [QueueID] = []
                for index in 0..<4 { ids.append(try await create(engine, "aaaaa\(index)")) }
                _ = try await settle(engine, ids, live: 2)
                #expect(try await engine.store.resources(after: nil, limit: 10).map(\.permits) == [2])
                // What was held for a limit goes with it.
                let free = EngineStore(pool)
                try await free.dropUnsetLimits()
                #expect(try await rows(pool) == 0)
            }
        }
    }

    @Test func `the higher priority goes first, and who waited long enough before it`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let holder = try await create(engine, "aaaaaa", locks: ["gpu"])
            _ = try await settle(engine, [holder], live: 1)
            let low = try await create(engine, "bbbbbb", locks: ["gpu"])
            _ = try await settle(engine, [holder, low], live: 1)
            let high = try await create(engine, "cccccc", locks: ["gpu"], priority: 2)
            let old = try await create(engine, "dddddd", locks: ["gpu"], priority: -1)
            _ = try await settle(engine, [holder, low, high, old], live: 1)
            // As if it had waited for a minute: more than three points of priority are worth.
            try await pool.execute(
                """
                UPDATE streamforge.resource_waits SET since = since - interval '60 s', rank = rank - 60000
                WHERE queue_id = \(old.rawValue)
                """)
            var order: [QueueID] = []
            var running = holder
            for _ in 0..<3 {
                try await finish(engine, running)
                let rest = [low, high, old].filter { !order.contains($0) }
                running = try #require(try await settle(engine, rest, live: 1).first)
                order.append(running)
            }
            #expect(order == [old, high, low])
        }
    }

    @Test(arguments: [QueueRequest.stop, .terminate, .pause])
    func `a queue that is stopped in any way gives back what it holds and its place`(
        request: QueueRequest
    ) async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let first = try await create(engine, "aaaaaa", locks: ["gpu"])
            _ = try await settle(engine, [first], live: 1)
            let second = try await create(engine, "bbbbbb", locks: ["gpu"])
            let third = try await create(engine, "cccccc", locks: ["gpu"])
            _ = try await settle(engine, [first, second, third], live: 1)
            for id in [first, second] { _ = try await engine.store.request(request, of: id, actor: "api") }
            try await engine.reconcile(third) { _, instances in instances[0].machine.state == .starting }
            #expect(try await rows(pool) == 1)
        }
    }

    @Test func `an attempt that is lost or fails gives back what it holds`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let first = try await create(engine, "aaaaaa", locks: ["gpu"])
            _ = try await settle(engine, [first], live: 1)
            let second = try await create(engine, "bbbbbb", locks: ["gpu"])
            _ = try await settle(engine, [first, second], live: 1)
            // It may try again only later: meanwhile the other has its turn.
            engine.launcher.end("waaaaaa[BTCUSDT]/1")
            try await engine.reconcile(second) { _, instances in instances[0].machine.state == .starting }
            try await engine.apply(
                engine.event(second, "wbbbbbb", .error, seq: 1, reason: .final))
            // It failed; its process leaves, and the first has its second try.
            engine.launcher.end("wbbbbbb[BTCUSDT]/1")
            try await engine.reconcile(first) { _, instances in instances[0].machine.attempt == 2 }
        }
    }

    @Test func `a replica that died before it woke the next holds nobody up for ever`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let first = try await create(engine, "aaaaaa", locks: ["gpu"])
            _ = try await settle(engine, [first], live: 1)
            let second = try await create(engine, "bbbbbb", locks: ["gpu"])
            _ = try await settle(engine, [first, second], live: 1)
            // It was killed between giving back and waking.
            try await pool.execute("DELETE FROM streamforge.resource_holds")
            try await pool.execute(
                """
                UPDATE streamforge.queues SET claim_token = 'dead', look_at = 'infinity'
                WHERE queue_id = \(first.rawValue)
                """)
            try await engine.reconcile(second) { _, instances in instances[0].machine.state == .starting }
        }
    }

    @Test func `a queue that is deleted leaves nothing held`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let first = try await create(engine, "aaaaaa", locks: ["gpu"])
            let second = try await create(engine, "bbbbbb", locks: ["gpu"])
            _ = try await settle(engine, [first, second], live: 1)
            try await pool.execute("DELETE FROM streamforge.queues")
            #expect(try await rows(pool) == 0)
        }
    }
}
