import TestSupport
import Testing
import Workflow

@testable import QueueManager

/// What the engine does with what a cluster tells of a job.
struct ClusterJobTests {
    /// Jobs that are looked at, and may wait for a place all the same.
    private struct ClusterJobs: JobLauncher {
        let name = "cluster"
        let ends = AsyncStream<QueueID> { $0.finish() }
        func isLaunchRepeatable(for target: Target) -> Bool { true }
        func pollInterval(for target: Target) -> Duration? { .seconds(5) }
        func mayWait(for target: Target) -> Bool { true }
        func launch(_ job: Job) async throws(LaunchError) -> JobHandle {
            JobHandle(launcher: name, fields: [:])
        }
        func find(
            _ id: InstanceID, attempt: Int, of queueID: QueueID
        ) async throws(LaunchError) -> JobHandle? { nil }
        func state(of handle: JobHandle) async throws(LaunchError) -> JobState { .running }
        func kill(_ handle: JobHandle) async throws(LaunchError) {}
    }

    private func look(_ rig: inout StateRig) -> Looked {
        let planner = LookPlanner(
            context: rig.context,
            facts: LookFacts(now: rig.now, appliedOffset: rig.applied, caughtUpAt: rig.caughtUpAt),
            control: rig.control, jobs: ClusterJobs())
        return Looked(planner.plan(&rig.queue))
    }

    @Test func `a job that waits for its place is asked about, not lost, when its lease is over`() throws {
        var rig = try StateRig()
        rig.launch()
        rig.now += 61_000
        rig.caughtUpAt = rig.now
        #expect(look(&rig).effects == ["observe work[BTCUSDT]/1 or lose it"])
        #expect(rig.machine.state == .starting)
        rig.apply(.extendLease(rig.attempt))
        #expect(look(&rig).effects == ["observe work[BTCUSDT]/1"])
    }

    @Test func `one that was heard is lost with its lease`() throws {
        var rig = try StateRig()
        rig.start()
        rig.control = nil
        rig.now += 31_000
        rig.caughtUpAt = rig.now
        _ = look(&rig)
        #expect(rig.machine.reason == "its lease ran out")
    }

    @Test func `why it waits is told once, and forgotten when it runs`() throws {
        var rig = try StateRig()
        rig.launch()
        rig.forget()
        var changed = [rig.apply(.jobWaits(rig.attempt, why: "Unschedulable: no node"))]
        #expect(rig.machine.reason == "Unschedulable: no node" && rig.machine.state == .starting)
        #expect(rig.history == ["attempt_held"])
        changed.append(rig.apply(.jobWaits(rig.attempt, why: "Unschedulable: no node")))
        rig.say(.started, seq: 1)
        #expect(rig.machine.state == .running && rig.machine.reason == nil)
        changed.append(rig.apply(.jobWaits(rig.attempt, why: "late")))
        #expect(changed == [true, false, false])
    }

    @Test func `an instance that is not wanted keeps its reason for that`() throws {
        var rig = try StateRig()
        rig.launch()
        rig.apply(.input(.cancel(reason: "stopped"), rig.id, stop: "stopped"))
        let hasChanged = rig.apply(.jobWaits(rig.attempt, why: "Unschedulable: no node"))
        rig.say(.started, seq: 1)
        #expect(!hasChanged && rig.machine.reason == "stopped")
    }

    @Test(arguments: [
        ("NodeLost: gone", 0, InstanceMachine.State.waiting), ("Preempted", 0, .waiting),
        ("PodDeleted: its pod was deleted", 0, .waiting), ("OOMKilled: it took more", 1, .waiting),
        ("Evicted: disk", 1, .waiting), ("exit 137", 1, .waiting), ("StartError: no such file", 1, .failed),
    ])
    func `how its job ended decides whether the attempt counts, and is the last`(
        how: String, failures: Int, state: InstanceMachine.State
    ) throws {
        var rig = try StateRig()
        rig.start()
        rig.apply(.jobEnded(rig.attempt, eventsEnd: 0, how: how))
        // No next attempt yet, which would begin at once.
        rig.control = nil
        rig.look()
        #expect(rig.machine.state == state && rig.machine.failures == failures)
        #expect(rig.machine.reason == "its process ended (\(how)) without a final event")
    }
}

/// The store's side of deleting Jobs.
@Suite(.timeLimit(.minutes(2)))
struct FinishedJobsTests {
    @Test func `an attempt is done with when its job is gone, and when nobody knows it`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.count == 2 }
            func key(_ step: String, attempt: Int = 1, queue: QueueID = id) throws -> JobKey {
                let instance = InstanceID(step: try #require(StepID(step)), instance: "BTCUSDT")
                return JobKey(queueID: queue, id: instance, attempt: attempt)
            }
            let foreign = try key("load", queue: try #require(QueueID("wf-other-zzzzzz")))
            let all = [try key("load"), try key("store"), try key("load", attempt: 2), foreign]
            #expect(
                try await engine.store.finishedJobs(among: all) == [try key("load", attempt: 2), foreign])

            try await engine.apply(engine.event(id, "load", .started, seq: 1))
            try await engine.apply(engine.event(id, "load", .finished, seq: 2))
            engine.launcher.end("load[BTCUSDT]/1")
            let load = try key("load")
            let deadline = ContinuousClock.now + .seconds(20)
            var finished: Set<JobKey> = []
            while !finished.contains(load), ContinuousClock.now < deadline {
                try await engine.reconciler.roundOrWait()
                finished = try await engine.store.finishedJobs(among: all)
            }
            #expect(finished.contains(load))
            #expect(try await engine.store.finishedJobs(among: []) == [])
        }
    }

    @Test func `one replica sweeps at a time`() async throws {
        try await withPostgres { pool in
            let store = EngineStore(pool)
            let (held, inner) = (Mutable(false), Mutable(false))
            try await store.sweepOneAtATime {
                held.value = true
                try await store.sweepOneAtATime { inner.value = true }
            }
            #expect(held.value && !inner.value)
            try await store.sweepOneAtATime { inner.value = true }
            #expect(inner.value)
        }
    }
}
