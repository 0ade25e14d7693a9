import TestSupport
import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(2)))
struct ReconcilerTests {
    private static let bothRunning: @Sendable (QueueRow, [InstanceRow]) -> Bool = { _, instances in
        instances.allSatisfy { $0.machine.state.hasLiveAttempt }
    }

    private static func ended(_ status: QueueStatus) -> @Sendable (QueueRow, [InstanceRow]) -> Bool {
        { queue, _ in queue.status == status }
    }

    @Test func `runs a queue from creation to finished`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            try await engine.reconcile(id, until: Self.bothRunning)
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            #expect(engine.topics.all == ["\(id)-data", "\(id)-data-dead"])
            let counts = InstanceCounts(recordsRead: 288, recordsWritten: 288)
            for step in ["load", "store"] {
                try await engine.apply(engine.event(id, step, .started, seq: 1))
                try await engine.apply(engine.event(id, step, .finished, seq: 2, counts: counts))
            }
            try await engine.reconcile(id, until: Self.ended(.finished))
            try await engine.reconcile(id) { _, _ in engine.deleted.all.count == 2 }
            let history = try #require(try await engine.store.events(of: id, after: 0, limit: 100))
            #expect(history.events.map(\.number) == Array(1...Int64(history.events.count)))
            #expect(history.events.map(\.kind).last == "queue_finished")
        }
    }

    @Test func `fails a queue whose two sides counted differently`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            try await engine.reconcile(id, until: Self.bothRunning)
            try await engine.apply(
                engine.event(
                    id, "load", .finished, seq: 1, counts: .init(recordsRead: 288, recordsWritten: 288)))
            try await engine.apply(
                engine.event(
                    id, "store", .finished, seq: 1, counts: .init(recordsRead: 287, recordsWritten: 287)))
            try await engine.reconcile(id, until: Self.ended(.failed))
            let queue = try await engine.store.queue(id)?.queue
            #expect(queue?.reason == "counts disagree for BTCUSDT: load wrote 288 records, store read 287")
        }
    }

    @Test func `calls an attempt lost only when the event reader has passed its last possible event`()
        async throws
    {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            // The process is gone; one event of it lies unread in the topic: the final one.
            engine.eventsEnd.value = 1
            engine.launcher.end("load[BTCUSDT]/1")
            for _ in 0..<4 { try await engine.reconciler.roundOrWait() }
            #expect(!engine.launcher.launched.contains("load[BTCUSDT]/2"))
            try await engine.apply(
                engine.event(id, "load", .finished, seq: 1, counts: .init(recordsRead: 1, recordsWritten: 1)))
            try await engine.reconcile(id) { _, instances in
                instances.contains { $0.id.step.rawValue == "load" && $0.machine.state == .finished }
            }
            #expect(!engine.launcher.launched.contains("load[BTCUSDT]/2"))
        }
    }

    @Test func `replaces a lost attempt and tells it to stop`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            engine.launcher.end("store[BTCUSDT]/1")
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.contains("store[BTCUSDT]/2") }
            let sent = try await engine.store.dispatch(limit: 10) { commands in
                for command in commands { try await engine.broker.send(command) }
            }
            #expect(sent == 1)
            let command = try #require(engine.sent.all.first)
            #expect(command.command == .stop && command.attempt == 1 && command.step?.rawValue == "store")
        }
    }

    @Test func `starts the same attempt again when it died between deciding and starting`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            try await engine.reconcile(id, until: Self.bothRunning)
            // What a crash leaves: attempts without a handle, the claim of a dead replica.
            try await pool.execute("UPDATE streamforge.attempts SET handle = NULL")
            try await pool.execute(
                "UPDATE streamforge.queues SET claim_token = 'dead', look_at = now() + interval '300 ms'")
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            #expect(engine.launcher.launched.sorted() == ["load[BTCUSDT]/1", "store[BTCUSDT]/1"])
        }
    }

    @Test func `a stop ends every instance, the stubborn by force`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            #expect(try await engine.store.request(.stop, of: id, actor: "api") == .accepted(.stopping))
            // One answers in good order, the other not at all.
            try await engine.reconcile(id) { _, instances in instances.allSatisfy { !$0.machine.isWanted } }
            try await engine.apply(engine.event(id, "load", .interrupted, seq: 1, reason: .stopped))
            try await engine.reconcile(id, until: Self.ended(.stopped))
            #expect(engine.launcher.killed.contains("store[BTCUSDT]/1"))
            #expect(try await engine.store.request(.stop, of: id, actor: "api") == .met(.stopped))
        }
    }

    @Test func `a paused queue ends its attempts and launches none, a resumed one goes on`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            #expect(try await engine.store.request(.pause, of: id, actor: "api") == .accepted(.paused))
            #expect(try await engine.store.request(.pause, of: id, actor: "api") == .met(.paused))
            // One answers in good order, the other is ended by force; neither failed.
            engine.launcher.end("load[BTCUSDT]/1")
            engine.eventsEnd.value = 1
            try await engine.apply(engine.event(id, "load", .interrupted, seq: 1, reason: .stopped))
            try await engine.reconcile(id) { _, instances in
                instances.allSatisfy { $0.machine.state == .waiting }
            }
            #expect(engine.launcher.killed.contains("store[BTCUSDT]/1"))
            for _ in 0..<3 { try await engine.reconciler.roundOrWait() }
            #expect(engine.launcher.launched.count == 2)
            #expect(try await engine.store.request(.resume, of: id, actor: "api") == .accepted(.running))
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 4 }
            let instances = try #require(try await engine.store.queue(id)).instances
            #expect(instances.map(\.machine.attempt) == [2, 2])
            #expect(instances.map(\.machine.failures) == [0, 0])
        }
    }

    @Test func `a queue that is paused before its topics are made makes them when it goes on`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            #expect(try await engine.store.request(.pause, of: id, actor: "api") == .accepted(.paused))
            for _ in 0..<3 { try await engine.reconciler.roundOrWait() }
            #expect(engine.topics.all.isEmpty && engine.launcher.launched.isEmpty)
            #expect(try await engine.store.request(.resume, of: id, actor: "api") == .accepted(.pending))
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            #expect(engine.topics.all.count == 2)
        }
    }

    @Test func `a terminated queue waits for nobody, also not for the broker`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            #expect(try await engine.store.request(.stop, of: id, actor: "api") == .accepted(.stopping))
            engine.isBrokerAway.value = true
            // As after a crash between the launch and its record.
            try await pool.execute("UPDATE streamforge.attempts SET handle = NULL WHERE step = 'store'")
            #expect(try await engine.store.request(.terminate, of: id, actor: "api") == .accepted(.stopping))
            try await engine.reconcile(id, until: Self.ended(.stopped))
            #expect(Set(engine.launcher.killed) == ["load[BTCUSDT]/1", "store[BTCUSDT]/1"])
            let instances = try #require(try await engine.store.queue(id)).instances
            #expect(instances.allSatisfy { $0.machine.state == .interrupted })
            #expect(try await engine.store.request(.resume, of: id, actor: "api") == .refused(.stopped))
        }
    }

    @Test func `what takes too long is ended, and the queue fails with the reason`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue(timeoutSeconds: 1)
            try await engine.reconcile(id, until: Self.ended(.failed))
            let queue = try #require(try await engine.store.queue(id)).queue
            #expect(queue.reason?.contains("queue_timed_out") == true, "\(queue.reason ?? "")")
        }
    }

    @Test func `a pause counts towards no time-out`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue(timeoutSeconds: 600)
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            _ = try await engine.store.request(.pause, of: id, actor: "api")
            // As if all of it had begun, and the pause too, an hour ago.
            try await pool.execute(
                """
                UPDATE streamforge.queues SET started_at = started_at - interval '1 hour',
                paused_at = paused_at - interval '1 hour'
                """)
            try await pool.execute(
                "UPDATE streamforge.instances SET started_at = started_at - interval '1 hour'")
            let paused = try #require(try await engine.store.queue(id))
            #expect(try #require(paused.queue.elapsed) < 60_000)
            #expect(paused.instances.allSatisfy { ($0.elapsed ?? .max) < 60_000 })
            _ = try await engine.store.request(.resume, of: id, actor: "api")
            let resumed = try #require(try await engine.store.queue(id))
            #expect(try #require(resumed.queue.elapsed) < 60_000)
            #expect(resumed.instances.allSatisfy { ($0.elapsed ?? .max) < 60_000 })
        }
    }

    @Test func `stops the reader of a producer that failed for good`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue(symbols: ["BTCUSDT", "ETHUSDT"])
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 4 }
            try await engine.apply(engine.event(id, "load", .error, seq: 1, reason: .final))
            try await engine.reconcile(id) { _, instances in
                instances.contains { $0.id.description == "store[BTCUSDT]" && !$0.machine.isWanted }
            }
            try await engine.apply(engine.event(id, "store", .interrupted, seq: 1, reason: .stopped))
            let counts = InstanceCounts(recordsRead: 1, recordsWritten: 1)
            for step in ["load", "store"] {
                try await engine.apply(
                    engine.event(id, step, .finished, seq: 1, counts: counts, instance: "ETHUSDT"))
            }
            try await engine.reconcile(id, until: Self.ended(.failed))
            let instances = try #require(try await engine.store.queue(id)?.instances)
            let states = Dictionary(
                uniqueKeysWithValues: instances.map { ($0.id.description, $0.machine.state) })
            #expect(states["load[BTCUSDT]"] == .failed && states["store[BTCUSDT]"] == .interrupted)
            #expect(states["load[ETHUSDT]"] == .finished && states["store[ETHUSDT]"] == .finished)
        }
    }

    @Test func `judges a lease only after the event reader stood at the end`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            try await pool.execute("UPDATE streamforge.attempts SET lease_until = now() - interval '1 s'")
            for _ in 0..<3 { try await engine.reconciler.roundOrWait() }
            #expect(engine.launcher.killed.isEmpty)
            let renewal = try await engine.ownPartitions()
            try await engine.ownPartitions(
                caughtUp: renewal.partitions.map(\.partition), upTo: renewal.clock)
            try await engine.reconcile(id) { _, _ in engine.launcher.killed.count == 2 }
        }
    }
}
