import Foundation
import JobLaunchers
import KubernetesBridge
import Logging
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing
import Workflow

/// A launcher on the real API server, with Jobs that only this test sees.
struct LauncherStage: Sendable {
    let launcher: KubernetesLauncher
    let sweeper: JobSweeper
    let client: KubernetesClient
    let logs = KeptLogs()
    /// Attempts the engine is done with.
    let finished: Mutexed<Set<JobKey>>
    /// Attempts the engine has never heard of.
    let unknown: Mutexed<Set<JobKey>>
    let installation: Installation

    /// The image whose `streamforge-worker` runs; on the testbed any that FAKELET_BIN knows.
    static var image: String {
        ProcessInfo.processInfo.environment["STREAMFORGE_TEST_IMAGE"] ?? "registry/streamforge/worker:test"
    }

    static func with(
        _ change: (inout KubernetesLauncher.Configuration) -> Void = { _ in },
        _ body: @Sendable (LauncherStage) async throws -> Void
    ) async throws {
        let kubeconfig = try #require(TestCluster.kubeconfig, "KUBECONFIG is not set")
        let account = try Kubeconfig.read(kubeconfig)
        let installation = Installation(name: "test", database: uniqueName("db"))
        var manifest = JobManifestSettings(
            image: image, secret: "streamforge-test", installation: installation)
        manifest.httpPort = 0
        var configuration = KubernetesLauncher.Configuration(manifest: manifest)
        change(&configuration)
        let stage = LauncherStage(account, configuration, installation)
        let watch = ClusterWatch(stage.launcher, observe: { _ in })
        let group = ServiceGroup(
            services: [watch], logger: Logger(label: "watch") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let outcome: Result<Void, any Error>
            do {
                outcome = .success(try await body(stage))
            } catch {
                outcome = .failure(error)
            }
            try await stage.cleanUp()
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            await stage.client.close()
            await stage.launcher.close()
            try outcome.get()
        }
    }

    private init(
        _ account: KubernetesConfiguration, _ configuration: KubernetesLauncher.Configuration,
        _ installation: Installation
    ) {
        let (logs, finished, unknown) = (logs, Mutexed<Set<JobKey>>([]), Mutexed<Set<JobKey>>([]))
        client = KubernetesClient(account)
        launcher = KubernetesLauncher(
            KubernetesClient(account), configuration, logs: logs, observe: { _ in })
        sweeper = JobSweeper(
            launcher,
            finished: { keys in (finished.value.intersection(keys), unknown.value.intersection(keys)) },
            oneAtATime: { try await $0() }, unknownAge: .seconds(2), observe: { _ in })
        self.finished = finished
        self.unknown = unknown
        self.installation = installation
    }

    var jobs: [JobObject] {
        get async throws {
            try await client.list(.jobs, LabelSelector(JobLabels.everyJob(installation: installation))).items
        }
    }

    var pods: [PodObject] {
        get async throws {
            try await client.list(.pods, LabelSelector(JobLabels.everyJob(installation: installation))).items
        }
    }

    private func cleanUp() async throws {
        for job in try await jobs {
            try? await client.delete(.jobs, name: job.metadata.name, uid: job.metadata.uid, .background)
        }
    }

    /// Waits until the launcher tells a state that `isWanted`.
    @discardableResult
    func until(
        _ handle: JobHandle, _ isWanted: (JobState) -> Bool
    ) async throws -> JobState {
        try await eventually {
            // Not told yet what there is: what is waited for.
            guard let state = try? await launcher.state(of: handle), isWanted(state) else { return nil }
            return state
        }
    }
}

/// Asks again until there is an answer, 60 s at the most.
@discardableResult
func eventually<Value>(
    isolation: isolated (any Actor)? = #isolation, _ ask: () async throws -> Value?
) async throws -> Value {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
        if let value = try await ask() { return value }
        try await Task.sleep(for: .milliseconds(50))
    }
    throw NeverHappened()
}

struct NeverHappened: Error {}

final class Mutexed<Value: Sendable>: Sendable {
    private let stored: Mutex<Value>
    init(_ value: Value) { stored = Mutex(value) }
    var value: Value {
        get { stored.withLock { $0 } }
        set { stored.withLock { $0 = newValue } }
    }
}

/// A log store of the test's own.
actor KeptLogs: LogStore {
    private var logs: [JobKey: [UInt8]] = [:]

    func save(_ log: [UInt8], of key: JobKey) { logs[key] = log }
    func log(of key: JobKey) -> [UInt8]? { logs[key] }
}
