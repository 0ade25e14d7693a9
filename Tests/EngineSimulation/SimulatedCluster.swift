import QueueManager
import Workflow

/// Runs the simulated jobs: processes that are looked at, or a pool that takes offers.
///
/// `@unchecked`: lives on the simulation's one thread.
final class SimulatedCluster: @unchecked Sendable {
    /// A job and what became of it.
    ///
    /// `@unchecked`: lives on the simulation's one thread.
    final class Running: @unchecked Sendable {
        let job: Job
        let name: String
        let isPooled: Bool
        let startedAt: Int64
        var isTaken = false
        var isKilled = false
        var end: String?

        init(_ job: Job, name: String, isPooled: Bool, startedAt: Int64) {
            self.job = job
            self.name = name
            self.isPooled = isPooled
            self.startedAt = startedAt
        }
    }

    private(set) var jobs: [Running] = []
    private let world: World
    private let bugs: Set<PlantedBug>
    /// Whether dummy-service steps run in a pool.
    private let hasPool: Bool
    /// Runs one job.
    var work: (Running) -> Void = { _ in }

    init(_ world: World, bugs: Set<PlantedBug>, hasPool: Bool) {
        self.world = world
        self.bugs = bugs
        self.hasPool = hasPool
    }

    var live: [Running] { jobs.filter { $0.end == nil } }

    func launcher(for replica: ReplicaRun) -> any JobLauncher { Launcher(cluster: self, replica: replica) }

    func kill(_ running: Running, how: String) {
        guard running.end == nil else { return }
        running.isKilled = true
        running.end = how
        world.tell("job \(running.name) killed")
    }

    fileprivate func isPooled(_ target: Target) -> Bool { hasPool && target == .dummyService }

    fileprivate func start(_ job: Job) -> JobHandle {
        let pooled = isPooled(job.target)
        let name = "\(job.queueID)/\(job.id)/\(job.attempt)" + (pooled ? "#\(jobs.count)" : "")
        // A process is found by its name: starting it twice yields one. An offer is not.
        if !pooled, jobs.contains(where: { $0.name == name }) { return handle(name) }
        let running = Running(job, name: name, isPooled: pooled, startedAt: world.now)
        jobs.append(running)
        world.tell("job \(name) started")
        work(running)
        return handle(name)
    }

    fileprivate func find(_ name: String) -> Running? { jobs.last { $0.name == name } }

    fileprivate func handle(_ name: String) -> JobHandle {
        JobHandle(launcher: "simulated", fields: ["job": name])
    }

    private struct Launcher: JobLauncher {
        private static let slowChance = 0.05
        let cluster: SimulatedCluster
        let replica: ReplicaRun
        let name = "simulated"
        let ends = AsyncStream<QueueID> { $0.finish() }

        func isLaunchRepeatable(for target: Target) -> Bool {
            !cluster.isPooled(target) || cluster.bugs.contains(.doubledLaunch)
        }

        func pollInterval(for target: Target) -> Duration? {
            cluster.isPooled(target) ? nil : .milliseconds(500)
        }

        func isHeardOfSoon(for target: Target) -> Bool { cluster.isPooled(target) }

        func launch(_ job: Job) async throws(LaunchError) -> JobHandle {
            try await call("launch") { cluster.start(job) }
        }

        func find(
            _ id: InstanceID, attempt: Int, of queueID: QueueID
        ) async throws(LaunchError) -> JobHandle? {
            try await call("find") {
                cluster.find("\(queueID)/\(id)/\(attempt)").map { cluster.handle($0.name) }
            }
        }

        func state(of handle: JobHandle) async throws(LaunchError) -> JobState {
            try await call("state") {
                guard let running = cluster.find(handle.fields["job"] ?? "") else { return .ended(how: nil) }
                if running.isPooled { return running.isTaken ? .running : .queued }
                return running.end.map { .ended(how: $0) } ?? .running
            }
        }

        func kill(_ handle: JobHandle) async throws(LaunchError) {
            try await call("kill") {
                guard let running = cluster.find(handle.fields["job"] ?? ""), !running.isPooled,
                    !cluster.bugs.contains(.ignoredKill)
                else { return }
                cluster.kill(running, how: "signal 9")
            }
        }

        func jobs() async throws(LaunchError) -> [JobInSight] {
            try await call("jobs") {
                cluster.live.filter { !$0.isPooled }.map { running in
                    let job = running.job
                    return JobInSight(
                        owner: JobKey(queueID: job.queueID, id: job.id, attempt: job.attempt),
                        handle: cluster.handle(running.name))
                }
            }
        }

        private func call<R>(_ name: String, _ body: () -> R) async throws(LaunchError) -> R {
            do {
                try await replica.reach("launcher", name)
                let result = body()
                // Long enough for workers to say something meanwhile.
                if cluster.world.fault("launcher slow", Self.slowChance) {
                    await cluster.world.sleep(Int64(cluster.world.random.pick(200...4_000)))
                }
                try await replica.answer("launcher", name)
                return result
            } catch {
                // A launch that nobody answered uses up no attempt; one that was refused does.
                let isOutage = name == "launch" && cluster.world.random.chance(0.5)
                throw LaunchError(isOutage ? .unavailable : .retriable, operation: name, detail: "\(error)")
            }
        }
    }
}
