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
        func lossGrace(for target: Target) -> Duration { .seconds(30) }
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

    @discardableResult
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
        #expect(look(&rig).effects == ["observe work[BTCUSDT]/1"])
        rig.now += 30_000
        rig.caughtUpAt = rig.now
        #expect(look(&rig).effects == ["observe work[BTCUSDT]/1 or lose it"])
        #expect(rig.machine.state == .starting)
        rig.apply(.extendLease(rig.attempt))
        #expect(look(&rig).effects == ["observe work[BTCUSDT]/1"])
    }

    @Test func `one that was heard is asked about too, and in doubt until a lost node would be seen`() throws
    {
        var rig = try StateRig()
        rig.start()
        rig.now += 31_000
        rig.caughtUpAt = rig.now
        let early = look(&rig)
        #expect(early.effects == ["observe work[BTCUSDT]/1"] && early.lookAgain == 1_000)
        rig.now += 30_000
        rig.caughtUpAt = rig.now
        let late = look(&rig)
        #expect(late.effects == ["observe work[BTCUSDT]/1 or lose it"])
        #expect(rig.machine.state == .running)
        // It does run: its worker is at fault.
        for operation in late.outcomes[0] { rig.apply(operation) }
        #expect(rig.machine.reason == "its lease ran out" && rig.machine.failures == 1)
    }

    @Test func `one whose machine does not answer is lost with its lease, and has not failed`() throws {
        var rig = try StateRig()
        rig.start()
        rig.now += 31_000
        rig.caughtUpAt = rig.now
        for operation in look(&rig).ifMachineLost[0] { rig.apply(operation) }
        #expect(rig.machine.reason == "its machine does not answer, and its lease ran out")
        #expect(rig.machine.state == .waiting && rig.machine.failures == 0)
    }

    @Test func `attempts that are excused again and again are held back for longer and longer`() throws {
        var rig = try StateRig()
        var holds: [Int64] = []
        for _ in 0..<9 {
            rig.launch()
            rig.apply(.jobEnded(rig.attempt, eventsEnd: 0, how: "Preempted"))
            rig.control = nil
            look(&rig)
            let instance = try #require(rig.queue.instances[rig.id])
            holds.append(instance.notBefore - rig.now)
            rig.sendStops()
            rig.control = ControlPosition(partition: 3, offset: 7)
            rig.now = instance.notBefore
        }
        #expect(holds == [0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
        #expect(rig.machine.failures == 0)
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
    @Test func `an attempt is done with when its job is gone, and one that nobody knows is told apart`()
        async throws
    {
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
            let overview = try await engine.store.jobsOverview(of: all)
            let second = try key("load", attempt: 2)
            #expect(overview.done.isEmpty && overview.unknown == [second, foreign])

            try await engine.apply(engine.event(id, "load", .started, seq: 1))
            try await engine.apply(engine.event(id, "load", .finished, seq: 2))
            engine.launcher.end("load[BTCUSDT]/1")
            let load = try key("load")
            let deadline = ContinuousClock.now + .seconds(20)
            var finished: Set<JobKey> = []
            while !finished.contains(load), ContinuousClock.now < deadline {
                try await engine.reconciler.roundOrWait()
                finished = try await engine.store.jobsOverview(of: all).done
            }
            #expect(finished.contains(load))
            #expect(try await engine.store.jobsOverview(of: []) == EngineStore.JobsOverview())
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
