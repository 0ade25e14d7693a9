import Foundation
import JobLaunchers
import KubernetesBridge
import TestSupport
import Testing
import Workflow

/// The launcher on a real API server with its Job controller and scheduler.
@Suite(
    .serialized, .enabled(if: TestCluster.isWanted, Comment(rawValue: TestCluster.skipReason)),
    .timeLimit(.minutes(3)))
struct LauncherOnClusterTests {
    /// No node takes its pods.
    private static func nowhere(_ configuration: inout KubernetesLauncher.Configuration) {
        configuration.manifest.nodeSelector = ["no": "such-node"]
    }

    /// A job of a queue that no other run of the test has.
    private func newJob(_ environment: [String: String] = [:], attempt: Int = 1) throws -> Job {
        let suffix = String(UUID().uuidString.lowercased().filter { $0 != "-" }.prefix(6))
        return try job(
            "BTCUSDT", target: .dummyService, step: "try", attempt: attempt, suffix: suffix,
            environment: environment)
    }

    private func key(_ job: Job) -> JobKey {
        JobKey(queueID: job.queueID, id: job.id, attempt: job.attempt)
    }

    @Test func `a launch that is repeated makes one Job, and it is found again`() async throws {
        try await LauncherStage.with { stage in
            let job = try newJob()
            let first = try await stage.launcher.launch(job)
            let second = try await stage.launcher.launch(job)
            #expect(first == second)
            #expect(try await stage.jobs.count == 1)
            let found = try await stage.launcher.find(job.id, attempt: 1, of: job.queueID)
            #expect(found == first)
            #expect(try await stage.launcher.find(job.id, attempt: 2, of: job.queueID) == nil)
        }
    }

    @Test func `a Job of that name with other labels is not taken for ours`() async throws {
        try await LauncherStage.with { stage in
            let job = try newJob()
            // An engine of the same name, with a database of its own.
            let other = Installation(name: stage.installation.name, database: uniqueName("other"))
            let manifest = JobManifest(
                job, JobManifestSettings(image: "other", secret: "s", installation: other))
            let foreign = try await stage.client.create(
                .jobs, name: manifest.name, json: MessageCodec.encode(manifest.json))
            let error = await #expect(throws: LaunchError.self) { _ = try await stage.launcher.launch(job) }
            #expect(error?.isRetriable == false)
            try await stage.client.delete(
                .jobs, name: manifest.name, uid: foreign.metadata.uid, .background)
        }
    }

    @Test func `a Job that the server refuses fails its launch for good, and says why`() async throws {
        func beRefused(_ configuration: inout KubernetesLauncher.Configuration) {
            configuration.manifest.resources = ["default": .object(["limits": .string("x")])]
        }
        try await LauncherStage.with(beRefused) { stage in
            let error = await #expect(throws: LaunchError.self) {
                _ = try await stage.launcher.launch(try newJob())
            }
            #expect(error?.isRetriable == false)
        }
    }

    @Test func `a worker's exit code is told, its log is kept and its Job deleted`() async throws {
        try await LauncherStage.with { stage in
            // Nothing that a worker needs to know: it refuses its settings.
            let job = try newJob()
            let handle = try await stage.launcher.launch(job)
            let ended = try await stage.until(handle) { if case .ended = $0 { true } else { false } }
            #expect(ended == .ended(how: "exit 10"))
            // While the engine is not done with the attempt, the Job stays.
            try await stage.sweeper.round(all: true)
            #expect(await stage.logs.log(of: key(job)) == nil)
            let live = try await stage.launcher.log(of: handle, bytesMax: 1 << 20)
            #expect(String(decoding: live ?? [], as: UTF8.self).contains("KAFKA_BOOTSTRAP_SERVERS"))

            stage.finished.value = [key(job)]
            let kept = try await eventually {
                try await stage.sweeper.round(all: false)
                return await stage.logs.log(of: key(job))
            }
            #expect(String(decoding: kept, as: UTF8.self).contains("KAFKA_BOOTSTRAP_SERVERS"))
            try await eventually {
                let (jobs, pods) = (try await stage.jobs, try await stage.pods)
                return jobs.isEmpty && pods.isEmpty ? true : nil
            }
            #expect(try await stage.launcher.state(of: handle) == .ended(how: "exit 10"))
        }
    }

    @Test func `a pod that no node takes waits and says why, and a kill leaves nothing`() async throws {
        try await LauncherStage.with(Self.nowhere) { stage in
            let handle = try await stage.launcher.launch(try newJob())
            let waiting = try await stage.until(handle) { state in
                if case .waiting(let why) = state { why.hasPrefix("Unschedulable: 0/") } else { false }
            }
            #expect(waiting != .running)
            try await stage.launcher.kill(handle)
            #expect(try await stage.jobs.isEmpty)
            #expect(
                try await stage.launcher.state(of: handle) == .ended(how: "JobDeleted: its job was deleted"))
            // Gone already is fine.
            try await stage.launcher.kill(handle)
        }
    }

    @Test func `an attempt whose place takes too long is stuck`() async throws {
        func getStuckSoon(_ configuration: inout KubernetesLauncher.Configuration) {
            Self.nowhere(&configuration)
            configuration.limits.place = .milliseconds(500)
        }
        try await LauncherStage.with(getStuckSoon) { stage in
            let handle = try await stage.launcher.launch(try newJob())
            let state = try await stage.until(handle) { if case .stuck = $0 { true } else { false } }
            guard case .stuck(_, let isFinal) = state else { return }
            #expect(!isFinal)
        }
    }

    @Test func `a Job deleted by hand ends its attempt`() async throws {
        try await LauncherStage.with(Self.nowhere) { stage in
            let handle = try await stage.launcher.launch(try newJob())
            try await stage.until(handle) { if case .waiting = $0 { true } else { false } }
            let job = try #require(try await stage.jobs.first)
            try await stage.client.delete(.jobs, name: job.metadata.name, uid: job.metadata.uid, .background)
            let state = try await stage.until(handle) { if case .ended = $0 { true } else { false } }
            #expect(state == .ended(how: "JobDeleted: its job was deleted"))
        }
    }

    @Test func `a pod deleted by hand ends its attempt, though the Job gets another`() async throws {
        try await LauncherStage.with(Self.nowhere) { stage in
            let handle = try await stage.launcher.launch(try newJob())
            try await stage.until(handle) { state in
                if case .waiting(let why) = state { why.hasPrefix("Unschedulable") } else { false }
            }
            let pod = try #require(try await stage.pods.first)
            try await stage.client.delete(.pods, name: pod.metadata.name, uid: pod.metadata.uid, .background)
            let state = try await stage.until(handle) { if case .ended = $0 { true } else { false } }
            #expect(state == .ended(how: "PodDeleted: its pod was deleted"))
        }
    }

    @Test func `a Job of an attempt that was given up is swept, also while it waits`() async throws {
        try await LauncherStage.with(Self.nowhere) { stage in
            let job = try newJob()
            let handle = try await stage.launcher.launch(job)
            try await stage.until(handle) { if case .waiting = $0 { true } else { false } }
            stage.finished.value = [key(job)]
            try await stage.sweeper.round(all: false)
            #expect(try await stage.jobs.count == 1)
            // As the sweeper does: while a watch is begun anew, a round leaves everything as it is.
            try await eventually {
                try await stage.sweeper.round(all: true)
                return try await stage.jobs.isEmpty ? true : nil
            }
        }
    }
}
