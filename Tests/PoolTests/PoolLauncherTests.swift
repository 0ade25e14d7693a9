import JobLaunchers
import KafkaBridge
import ServiceRuntime
import Synchronization
import Testing
import Workflow

@Suite(.serialized, .timeLimit(.minutes(2)))
struct PoolLauncherTests {
    @Test(arguments: [
        "KAFKA_PASSWORD", "KAFKA_PASSWORD_CONSUMER", "POSTGRES_URL", "ARANGO_PASSWORD", "SYMBOL_FILE",
    ])
    func `does not offer a secret or a file's path`(name: String) async throws {
        try await PoolStage.with { stage in
            let job = try stage.job(try PoolStage.queue(1), [name: "x"])
            await #expect {
                _ = try await stage.launcher.launch(job)
            } throws: { error in
                guard let error = error as? LaunchError else { return false }
                return !error.isRetriable && error.detail.contains(name)
            }
        }
    }

    @Test func `tells what is queued and what was taken, many asking at once`() async throws {
        try await PoolStage.with { stage in
            var handles: [JobHandle] = []
            for number in 0..<20 { handles.append(try await stage.offer(try PoolStage.queue(number))) }
            #expect(Set(handles.compactMap { $0.fields["partition"] }).count > 1)
            try await withThrowingTaskGroup(of: JobState.self) { group in
                for _ in 0..<50 {
                    for handle in handles { group.addTask { try await stage.launcher.state(of: handle) } }
                }
                for try await state in group { #expect(state == .queued) }
            }
            let worker = try await stage.startWorker("pool-a")
            for handle in handles { try await stage.untilState(.running, of: handle) }
            #expect(await stage.stop(worker) == .code(0))
            let (queue, id) = (
                try PoolStage.queue(1), InstanceID(step: try #require(PoolStage.step), instance: "X")
            )
            #expect(try await stage.launcher.find(id, attempt: 1, of: queue) == nil)
        }
    }
}

struct RoutingLauncherTests {
    private final class Named: JobLauncher {
        let name: String
        let ends = AsyncStream<QueueID> { $0.finish() }
        let repeatable: Bool
        private let log = Mutex<[String]>([])
        var calls: [String] { log.withLock { $0 } }

        init(_ name: String, repeatable: Bool) {
            self.name = name
            self.repeatable = repeatable
        }

        private func note(_ call: String) { log.withLock { $0.append(call) } }
        func isLaunchRepeatable(for target: Target) -> Bool { repeatable }
        func pollInterval(for target: Target) -> Duration? { repeatable ? .seconds(1) : nil }
        func launch(_ job: Job) async throws(LaunchError) -> JobHandle {
            note("launch")
            return JobHandle(launcher: name, fields: [:])
        }
        func find(_ id: InstanceID, attempt: Int, of queueID: QueueID) async throws(LaunchError) -> JobHandle?
        {
            note("find")
            return nil
        }
        func state(of handle: JobHandle) async throws(LaunchError) -> JobState {
            note("state")
            return .running
        }
        func kill(_ handle: JobHandle) async throws(LaunchError) { note("kill") }
    }

    @Test func `goes by target to launch and by handle afterwards`() async throws {
        let (pool, processes) = (Named("pool", repeatable: false), Named("process", repeatable: true))
        let routing = RoutingLauncher([.dummyService: pool], others: processes)
        let queue = try PoolStage.queue(1)
        let id = InstanceID(step: try #require(PoolStage.step), instance: "BTCUSDT")
        for target in [Target.dummyService, .arangoConnector] {
            let job = Job(queueID: queue, id: id, attempt: 1, target: target, environment: [:])
            let handle = try await routing.launch(job)
            _ = try await routing.state(of: handle)
            try await routing.kill(handle)
        }
        #expect(pool.calls == ["launch", "state", "kill"] && processes.calls == pool.calls)
        #expect(try await routing.find(id, attempt: 1, of: queue) == nil)
        #expect(pool.calls.last == "find" && processes.calls.last == "find")
        #expect(
            !routing.isLaunchRepeatable(for: .dummyService)
                && routing.isLaunchRepeatable(for: .arangoConnector))
        #expect(routing.pollInterval(for: .dummyService) == nil)
        #expect(routing.pollInterval(for: .loaderAPICandles) == .seconds(1))
        let foreign = JobHandle(launcher: "kubernetes", fields: [:])
        #expect(try await routing.state(of: foreign) == .outOfSight)
        try await routing.kill(foreign)
    }
}
