import TestSupport
import Testing
import Workflow

@testable import QueueManager

/// Large queues that are looked at while launches are under way, over a real database.
@Suite(.timeLimit(.minutes(2)))
struct ReconcilerStepwiseTests {
    private static let slow = "work[S02]/1"

    /// A queue of 20 instances, two at a time, and the round that has launched the first two; the launch of the second
    /// is not answered.
    private func begin(_ engine: EngineFixture, _ reconciler: Reconciler) async throws -> (
        QueueID, Task<Int, any Error>
    ) {
        let step = PlannedStep(
            id: try #require(StepID("work")), target: .dummyService, type: "dummy", interval: nil)
        var plan = Plan(
            symbols: (1...20).map { "S" + ($0 < 10 ? "0" : "") + "\($0)" },
            timeRange: "2024-08-01:2024-08-01", steps: [step])
        plan.parallelMax = 2
        let id = try #require(QueueID("wf-test-abc123"))
        _ = try await engine.store.create(
            NewQueue(
                queueID: id, plan: plan, request: .object([:]), asOf: 1, traceparent: nil,
                idempotencyKey: nil, requestHash: "hash"))
        engine.launcher.unanswered.value = [Self.slow]
        let round = Task { try await reconciler.round() }
        try await wait { engine.launcher.launched.count == 2 }
        return (id, round)
    }

    private func wait(_ condition: () async throws -> Bool) async throws {
        while try await !condition() { try await Task.sleep(for: .milliseconds(5)) }
    }

    private func end(
        _ id: QueueID, _ instance: String, _ engine: EngineFixture, _ reconciler: Reconciler
    ) async throws -> ApplyReport {
        let turn = await reconciler.lookAhead.begin([id], ending: [id])
        let report = try await engine.apply(
            engine.event(id, "work", .finished, seq: 2, instance: instance), look: turn.look)
        await turn.finish(report, ended: [id])
        return report
    }

    @Test func `who writes an end looks at the queue for its holder, who launches the next`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let reconciler = engine.reconciler
            let (id, round) = try await begin(engine, reconciler)
            try await engine.apply(engine.event(id, "work", .started, seq: 1, instance: "S01"))
            let report = try await end(id, "S01", engine, reconciler)
            #expect(report.looked.map(\.claim) == Array(reconciler.state.claims))
            #expect(report.looked.first?.plan.isBusy == true && !report.needsLook)
            try await wait { engine.launcher.launched.contains("work[S03]/1") }
            // What its holder knew is written with it.
            let history = try #require(try await engine.store.events(of: id, after: 0, limit: 99)).events
            let launched = history.filter { $0.kind == "attempt_launched" }.map(\.instance)
            #expect(launched.contains("S01") && !launched.contains("S02"))
            engine.launcher.unanswered.value = []
            #expect(try await round.value == 1)
            #expect(reconciler.state.claims.isEmpty)
            let (_, instances) = try #require(try await engine.store.queue(id))
            #expect(instances.count { $0.machine.state == .finished } == 1)
            #expect(instances.count { $0.machine.state.hasLiveAttempt } == 2)
        }
    }

    @Test func `a look that fails is given back, and nothing of it is lost`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let reconciler = engine.reconciler
            let (id, round) = try await begin(engine, reconciler)
            let turn = await reconciler.lookAhead.begin([id], ending: [id])
            #expect(turn.look.held[id] != nil)
            turn.abandon(ended: [])
            engine.launcher.unanswered.value = []
            #expect(try await round.value == 1)
            let history = try #require(try await engine.store.events(of: id, after: 0, limit: 99)).events
            #expect(
                history.filter { $0.kind == "attempt_launched" }.compactMap(\.instance).sorted() == [
                    "S01", "S02",
                ])
        }
    }

    @Test func `events without an end leave the queue to its holder`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let reconciler = engine.reconciler
            let (id, round) = try await begin(engine, reconciler)
            let turn = await reconciler.lookAhead.begin([id], ending: [])
            #expect(turn.look.held.isEmpty)
            let report = try await engine.apply(
                engine.event(id, "work", .started, seq: 1, instance: "S01"), look: turn.look)
            await turn.finish(report, ended: [])
            #expect(report.looked.isEmpty && report.applied == 1)
            engine.launcher.unanswered.value = []
            #expect(try await round.value == 1)
        }
    }
}
