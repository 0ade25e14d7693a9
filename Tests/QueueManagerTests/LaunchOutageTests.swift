import TestSupport
import Testing
import Workflow

@testable import QueueManager

/// The engine and a cluster that does not answer for a while.
@Suite(.timeLimit(.minutes(2)))
struct LaunchOutageTests {
    private func outage(_ detail: String = "the API server does not answer") -> LaunchError {
        LaunchError(.unavailable, operation: "launch", detail: detail)
    }

    @Test func `launches of an outage use up no attempts, and the instance says why it waits`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            engine.launcher.refusals.value = (2, 0, outage())
            let id = try await engine.createQueue()
            try await engine.reconcile(id) { _, instances in
                instances.contains {
                    $0.machine.reason == "it cannot be launched now: the API server does not answer"
                }
            }
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            #expect(engine.launcher.launched.sorted() == ["load[BTCUSDT]/1", "store[BTCUSDT]/1"])
            try await engine.apply(engine.event(id, "load", .started, seq: 1))
            let instances = try #require(try await engine.store.queue(id)).instances
            #expect(instances.allSatisfy { $0.machine.attempt == 1 && $0.machine.failures == 0 })
            let load = try #require(instances.first { $0.id.step.rawValue == "load" })
            #expect(load.machine.state == .running && load.machine.reason == nil)
        }
    }

    @Test func `its words are one line of the history, however often it was tried`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            engine.launcher.refusals.value = (4, 0, outage())
            let id = try await engine.createQueue()
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            let history = try #require(try await engine.store.events(of: id, after: 0, limit: 100))
            #expect(history.events.count { $0.kind == "attempt_held" } == 2)
            #expect(engine.launcher.refusals.value.launches == 0)
        }
    }

    @Test func `a launch that the cluster refuses has failed, and counts`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let refused = LaunchError(.retriable, operation: "launch", detail: "exceeded quota")
            engine.launcher.refusals.value = (2, 0, refused)
            let id = try await engine.createQueue()
            try await engine.reconcile(id) { _, instances in
                instances.allSatisfy { $0.machine.failures == 1 && $0.machine.attempt == 2 }
            }
        }
    }

    @Test func `a queue that is terminated in an outage ends when a kill comes through`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            let ending = LaunchError(.underWay, operation: "end", detail: "its pods still end")
            engine.launcher.refusals.value = (0, 3, ending)
            _ = try await engine.store.request(.terminate, of: id, actor: "api")
            try await engine.reconcile(id) { queue, _ in queue.status == .stopped }
            #expect(engine.launcher.killed.count == 2 && engine.launcher.refusals.value.kills == 0)
        }
    }
}
