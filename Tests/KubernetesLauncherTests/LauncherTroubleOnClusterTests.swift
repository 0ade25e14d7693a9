import Foundation
import KubernetesBridge
import TestSupport
import Testing
import Workflow

@testable import JobLaunchers

/// The launcher on a real API server when its watches are behind, or it may not speak to the server.
@Suite(
    .serialized, .enabled(if: TestCluster.isWanted, Comment(rawValue: TestCluster.skipReason)),
    .timeLimit(.minutes(3)))
struct LauncherTroubleOnClusterTests {
    /// A job of a queue that no other run of the test has; it refuses its settings.
    private func newJob() throws -> Job {
        let suffix = String(UUID().uuidString.lowercased().filter { $0 != "-" }.prefix(6))
        return try job("BTCUSDT", target: .dummyService, step: "try", suffix: suffix)
    }

    /// Another replica, whose watch of Jobs has told what there is and whose watch of pods nothing.
    private func behind(_ stage: LauncherStage) async throws -> KubernetesLauncher {
        let other = KubernetesLauncher(
            KubernetesClient(stage.client.configuration), stage.launcher.configuration, logs: stage.logs,
            observe: { _ in })
        other.view.apply(.replaced(try await stage.jobs))
        other.view.apply(ReflectorNews<PodObject>.replaced([]))
        return other
    }

    private func endOf(_ stage: LauncherStage, _ handle: JobHandle) async throws {
        try await stage.until(handle) { if case .ended = $0 { true } else { false } }
        try await eventually { try await stage.jobs.contains(where: \.isFinished) ? true : nil }
    }

    @Test func `a failed Job is judged by its pod, also when the watch of pods has not told of it`()
        async throws
    {
        try await LauncherStage.with { stage in
            let handle = try await stage.launcher.launch(try newJob())
            try await endOf(stage, handle)
            let other = try await behind(stage)
            #expect(try await other.state(of: handle) == .ended(how: "exit 10"))
            await other.close()
        }
    }

    @Test func `a log is kept when its Job is killed, also when its pod is not in sight`() async throws {
        try await LauncherStage.with { stage in
            let job = try newJob()
            let handle = try await stage.launcher.launch(job)
            try await endOf(stage, handle)
            let other = try await behind(stage)
            // Its own watch does not run: it never sees the Job go.
            let error = await #expect(throws: LaunchError.self) { try await other.kill(handle) }
            #expect(error?.kind == .underWay)
            let key = JobKey(queueID: job.queueID, id: job.id, attempt: 1)
            let kept = await stage.logs.log(of: key) ?? []
            #expect(String(decoding: kept, as: UTF8.self).contains("KAFKA_BOOTSTRAP_SERVERS"))
            try await eventually { try await stage.jobs.isEmpty ? true : nil }
            await other.close()
        }
    }

    @Test func `a Job that nobody can find any more was deleted`() async throws {
        try await LauncherStage.with { stage in
            let handle = try await stage.launcher.launch(try newJob())
            let other = try await behind(stage)
            other.view.apply(ReflectorNews<JobObject>.replaced([]))
            try await endOf(stage, handle)
            #expect(try await other.state(of: handle) == .ended(how: "exit 10"))
            let job = try #require(try await stage.jobs.first)
            try await stage.client.delete(.jobs, name: job.metadata.name, uid: job.metadata.uid, .background)
            try await eventually { try await stage.jobs.isEmpty ? true : nil }
            let third = try await behind(stage)
            let gone = try await third.state(of: handle)
            #expect(gone == .ended(how: "JobDeleted: its job is not there any more"))
            await other.close()
            await third.close()
        }
    }

    @Test func `a Job that the engine does not know is deleted only after it was seen for a while`()
        async throws
    {
        try await LauncherStage.with { stage in
            let job = try newJob()
            let handle = try await stage.launcher.launch(job)
            try await endOf(stage, handle)
            stage.unknown.value = [JobKey(queueID: job.queueID, id: job.id, attempt: 1)]
            let patient = JobSweeper(
                stage.launcher, finished: { keys in ([], stage.unknown.value.intersection(keys)) },
                oneAtATime: { try await $0() }, observe: { _ in })
            try await patient.round(all: true)
            #expect(try await stage.jobs.count == 1)
            try await eventually {
                try await stage.sweeper.round(all: true)
                return try await stage.jobs.isEmpty ? true : nil
            }
        }
    }

    @Test(arguments: [true, false])
    func `a server that is away, or does not know us, costs no attempt`(isAway: Bool) async throws {
        try await LauncherStage.with { stage in
            var account = stage.client.configuration
            if isAway {
                // A port that only the super-user may open, and nobody does.
                account.server = "https://127.0.0.1:1"
            } else {
                account.credential = .token("nobody's")
                account.identity = nil
            }
            var configuration = stage.launcher.configuration
            configuration.launchTime = .seconds(1)
            let other = KubernetesLauncher(
                KubernetesClient(account), configuration, logs: stage.logs, observe: { _ in })
            let job = try newJob()
            let started = ContinuousClock.now
            let error = await #expect(throws: LaunchError.self) { _ = try await other.launch(job) }
            #expect(error?.kind == .unavailable)
            #expect(ContinuousClock.now - started < .seconds(5))
            await #expect(throws: LaunchError.self) {
                try await other.kill(
                    JobHandle(
                        launcher: "kubernetes",
                        fields: [
                            "namespace": account.namespace, "job": "none", "uid": "none",
                        ]))
            }
            #expect(ContinuousClock.now - started < .seconds(30))
            await other.close()
        }
    }
}
