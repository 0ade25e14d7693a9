import PostgresBridge
import TestSupport
import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(2)))
struct WorkNotifierTests {
    /// Runs a notifier until `body` is over.
    private func withNotifier(
        _ pool: PostgresPool, _ announcer: WorkAnnouncer, replica: String, _ observe: EngineObserver,
        hear: @escaping @Sendable (WorkKinds) -> Void, _ body: () async throws -> Void
    ) async throws {
        let notifier = WorkNotifier(
            pool.configuration, announcer, replica: replica, observe: observe, hear: hear)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await notifier.run() }
            try await body()
            group.cancelAll()
        }
    }

    @Test func `work that one replica made is taken by another as soon as it is told`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let told = Mutable<WorkKinds>([])
            let wakeups = Wakeups()
            let announcer = WorkAnnouncer()
            try await withNotifier(
                pool, WorkAnnouncer(), replica: "b", engine.observer,
                hear: {
                    told.value = $0
                    wakeups.signalHere()
                }
            ) {
                // It listens from now on.
                await wakeups.wait(atMost: .seconds(60))
                #expect(told.value == .all)
                try await withNotifier(pool, announcer, replica: "a", engine.observer, hear: { _ in }) {
                    let id = try await engine.createQueue()
                    let start = ContinuousClock.now
                    announcer.announce(.reconcile)
                    await wakeups.wait(atMost: .seconds(60))
                    #expect(start.duration(to: .now) < .seconds(30))
                    #expect(told.value == .reconcile)
                    try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
                }
            }
        }
    }

    @Test func `a replica does not hear itself, and takes what it cannot read for everything`() {
        #expect(WorkNotifier.kinds(in: "1 a", unlessFrom: "a") == nil)
        #expect(WorkNotifier.kinds(in: "6 b", unlessFrom: "a") == [.commands, .feed])
        #expect(WorkNotifier.kinds(in: "255 b", unlessFrom: "a") == .all)
        #expect(WorkNotifier.kinds(in: "new form of a message", unlessFrom: "a") == .all)
    }
}
