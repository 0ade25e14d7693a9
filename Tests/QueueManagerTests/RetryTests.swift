import TestSupport
import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(2)))
struct RetryTests {
    private static let failed: @Sendable (QueueRow, [InstanceRow]) -> Bool = { queue, _ in
        queue.status == .failed
    }

    private let counts = InstanceCounts(recordsRead: 288, recordsWritten: 288)

    /// A queue of two symbols, of which one could not be stored.
    private func failedQueue(_ engine: EngineFixture) async throws -> QueueID {
        let id = try await engine.createQueue(symbols: ["BTCUSDT", "ETHUSDT"])
        try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 4 }
        for symbol in ["BTCUSDT", "ETHUSDT"] {
            try await engine.apply(
                engine.event(id, "load", .finished, seq: 1, counts: counts, instance: symbol))
        }
        try await engine.apply(
            engine.event(id, "store", .finished, seq: 1, counts: counts, instance: "BTCUSDT"))
        try await engine.apply(
            engine.event(id, "store", .error, seq: 1, reason: .final, instance: "ETHUSDT"))
        try await engine.reconcile(id, until: Self.failed)
        return id
    }

    @Test func `keeps what is finished and loads what has to be stored again over a topic of its own`()
        async throws
    {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await failedQueue(engine)
            #expect(try await engine.store.retry(RetryRequest(), of: id, actor: "api") == .accepted(run: 2))
            // What an attempt of the first run says late is history only.
            try await engine.apply(
                engine.event(id, "store", .finished, seq: 2, counts: counts, instance: "ETHUSDT"))
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 6 }
            #expect(
                Set(engine.launcher.launched.suffix(2)) == ["load[ETHUSDT]/2", "store[ETHUSDT]/2"])
            #expect(engine.topics.all.suffix(2) == ["\(id)-data-r2", "\(id)-data-r2-dead"])
            for step in ["load", "store"] {
                let told = engine.launcher.environments["\(step)[ETHUSDT]"]
                #expect(told?["KAFKA_TOPIC"] == "\(id)-data-r2" && told?["ATTEMPT"] == "2")
                try await engine.apply(
                    engine.event(
                        id, step, .finished, attempt: 2, seq: 1, counts: counts, instance: "ETHUSDT"))
            }
            try await engine.reconcile(id) { queue, _ in queue.status == .finished }
            let queue = try #require(try await engine.store.queue(id)).queue
            #expect(queue.run == 2 && queue.reason == nil && queue.finishedAt != nil)
            try await engine.reconcile(id) { _, _ in engine.deleted.all.contains("\(id)-data-r2-dead") }
            #expect(engine.deleted.all.contains("\(id)-data"))
            let history = try #require(try await engine.store.events(of: id, after: 0, limit: 100)).events
            #expect(history.map(\.number) == Array(1...Int64(history.count)))
            let retried = try #require(history.first { $0.kind == "queue_retried" })
            #expect(retried.actor == "api")
            #expect(retried.detail == .object(["run": .integer(2), "instances": .integer(2)]))
        }
    }

    @Test func `runs again by itself over new topics where the broker has lost records`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue(symbols: ["BTCUSDT", "ETHUSDT"])
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 4 }
            for step in ["load", "store"] {
                try await engine.apply(
                    engine.event(id, step, .finished, seq: 1, counts: counts, instance: "BTCUSDT"))
            }
            let startedAt = try #require(try await engine.store.queue(id)).queue.startedAt
            try await engine.apply(
                engine.event(id, "store", .error, seq: 1, reason: .dataLost, instance: "ETHUSDT"))
            // Its producer is told to stop: nobody reads it any more.
            try await engine.reconcile(id) { _, instances in
                instances.contains {
                    $0.id.description == "load[ETHUSDT]" && $0.machine.reason == "data_lost"
                }
            }
            try await engine.apply(
                engine.event(id, "load", .interrupted, seq: 1, reason: .stopped, instance: "ETHUSDT"))
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 6 }
            #expect(
                Set(engine.launcher.launched.suffix(2)) == ["load[ETHUSDT]/2", "store[ETHUSDT]/2"])
            for step in ["load", "store"] {
                #expect(engine.launcher.environments["\(step)[ETHUSDT]"]?["KAFKA_TOPIC"] == "\(id)-data-r2")
                try await engine.apply(
                    engine.event(
                        id, step, .finished, attempt: 2, seq: 1, counts: counts, instance: "ETHUSDT"))
            }
            try await engine.reconcile(id) { queue, _ in queue.status == .finished }
            let queue = try #require(try await engine.store.queue(id)).queue
            #expect(queue.run == 2 && queue.startedAt == startedAt)
            let history = try #require(try await engine.store.events(of: id, after: 0, limit: 100)).events
            let retried = try #require(history.first { $0.kind == "queue_retried" })
            #expect(retried.actor == "engine")
            #expect(!history.contains { $0.kind == "queue_failed" })
        }
    }

    @Test func `failures start anew and attempt numbers go on`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await failedQueue(engine)
            _ = try await engine.store.retry(RetryRequest(from: StepID("store")), of: id, actor: "api")
            let rows = try #require(try await engine.store.queue(id)).instances
            #expect(rows.count == 4)
            for row in rows {
                #expect(row.machine.state == .waiting && row.machine.failures == 0)
                #expect(row.machine.attempt == 1 && row.startedAt == nil && row.counts == InstanceCounts())
            }
        }
    }

    @Test func `refuses what is not over, what finished, and a step the plan does not have`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let store = engine.store
            let id = try await engine.createQueue()
            #expect(try await store.retry(RetryRequest(), of: id, actor: "api") == .refused(.pending))
            let step = try #require(StepID("nowhere"))
            guard case .unknownStep = try await store.retry(RetryRequest(from: step), of: id, actor: "api")
            else {
                Issue.record("a step that is not there was taken")
                return
            }
            let other = try #require(QueueID("wf-test-none00"))
            #expect(try await store.retry(RetryRequest(), of: other, actor: "api") == .unknownQueue)
            try await pool.execute(
                "UPDATE streamforge.queues SET status = 'failed', is_history_deleted = true")
            #expect(try await store.retry(RetryRequest(), of: id, actor: "api") == .historyDeleted)
            try await pool.execute(
                "UPDATE streamforge.queues SET run = \(QueueState.runsMax), is_history_deleted = false")
            #expect(try await store.retry(RetryRequest(), of: id, actor: "api") == .tooManyRuns)
        }
    }

    @Test func `letters of every run have their place`() throws {
        let id = try #require(QueueID("wf-test-abc123"))
        let plan = try PlanBuilder().build(
            .object([
                "symbol": .string("BTCUSDT"), "type": .string("api_candles_5m"),
                "time_range": .string("2024-08-01:2024-08-01"),
            ]))
        for topic in ["\(id)-data", "\(id)-data-r2", "\(id)-data-r100"] {
            #expect(DeadLetterPlace(topic: topic, partition: 0, of: id, plan) != nil, "\(topic)")
        }
        for topic in ["\(id)-data-r1", "\(id)-data-r02", "\(id)-data-r101", "\(id)-data-x", "\(id)"] {
            #expect(DeadLetterPlace(topic: topic, partition: 0, of: id, plan) == nil, "\(topic)")
        }
    }

    @Test func `the place of a letter follows the instance that wrote its partition`() throws {
        let id = try #require(QueueID("wf-test-abc123"))
        let plan = try PlanBuilder().build(
            .object([
                "symbols": .array([.string("BTCUSDT"), .string("ETHUSDT")]),
                "time_range": .string("2024-08-01:2024-08-02"),
                "steps": .array([
                    .object([
                        "id": .string("load"), "target": .string("loader-api-candles"),
                        "type": .string("api_candles"),
                        "fan_out": .object([
                            "by": .array([.string("symbol"), .string("interval")]),
                            "intervals": .array([.string("1h"), .string("5m")]),
                        ]),
                    ]),
                    .object([
                        "id": .string("store"), "target": .string("arango-connector"),
                        "type": .string("api_candles"), "input": .string("load"),
                    ]),
                ]),
            ]))
        let load = try #require(plan.steps.first)
        let written = plan.instances(of: load)
        #expect(written.count == 4)
        for instance in written {
            let place = try #require(
                DeadLetterPlace(topic: "\(id)-data", partition: instance.partition, of: id, plan))
            #expect(place.symbol.rawValue == instance.symbol)
            #expect(place.interval?.rawValue == instance.interval)
        }
        #expect(DeadLetterPlace(topic: "\(id)-data", partition: 4, of: id, plan) == nil)
        #expect(DeadLetterPlace(topic: "\(id)-data", partition: -1, of: id, plan) == nil)
    }
}
