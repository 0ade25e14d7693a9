import Foundation
import JobLaunchers
import TestSupport
import Testing
import Workflow

/// Local processes as the sweep sees them.
@Suite(.timeLimit(.minutes(1)))
struct LocalJobsTests {
    @Test func `a target with a program of its own has it beside the worker's`() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: uniqueName("programs")).path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let program = "\(directory)/\(Target.graphBuilder.program)"
        try write("#!/bin/sh\nsleep 60\n", program)
        let launcher = LocalProcessLauncher(
            .init(
                workerPath: "\(directory)/streamforge-worker", logDirectory: directory, host: "here",
                environment: ["PATH": "/usr/bin:/bin"], killGrace: .seconds(2)))
        func job(_ target: Target) throws -> Job {
            Job(
                queueID: try #require(QueueID("wf-programs-\(uniqueName("").suffix(6))")),
                id: InstanceID(step: try #require(StepID("work")), instance: "all"), attempt: 1,
                target: target, environment: [:])
        }
        let handle = try await launcher.launch(try job(.graphBuilder))
        #expect(try await launcher.state(of: handle) == .running)
        try await launcher.kill(handle)
        // There is no worker here.
        let other = try job(.dummyService)
        let error = await #expect(throws: LaunchError.self) { try await launcher.launch(other) }
        #expect(error?.isRetriable == false)
    }

    @Test func `a launcher sees the workers of its machine, by whomever they were launched`() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: uniqueName("jobs")).path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let program = "\(directory)/worker"
        // Its child is of the same group and is no job of its own.
        try write("#!/bin/sh\nsleep 60 &\nwait\n", program)
        let configuration = LocalProcessLauncher.Configuration(
            workerPath: program, logDirectory: directory, host: "here",
            environment: ["PATH": "/usr/bin:/bin", "SECRET": "s"], killGrace: .seconds(2))
        let job = Job(
            queueID: try #require(QueueID("wf-jobs-\(uniqueName("").suffix(6))")),
            id: InstanceID(step: try #require(StepID("work")), instance: "BTCUSDT,ETHUSDT"), attempt: 3,
            target: .dummyService, environment: [:])
        let handle = try await LocalProcessLauncher(configuration).launch(job)

        let next = RoutingLauncher([:], others: LocalProcessLauncher(configuration))
        let owner = JobKey(queueID: job.queueID, id: job.id, attempt: 3)
        let seen = try await next.jobs().filter { $0.owner.queueID == job.queueID }
        #expect(seen == [JobInSight(owner: owner, handle: handle)])
        try await next.kill(handle)
        #expect(try await next.jobs().allSatisfy { $0.owner.queueID != job.queueID })
    }

    /// The kernel sets a process's environment last, when the one who started it goes on already.
    @Test func `a process that is still being started is seen`() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: uniqueName("jobs")).path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let program = "\(directory)/worker"
        // Two of these moments: the shell's, and that of what takes its place.
        try write("#!/bin/sh\nexec sleep 60\n", program)
        let launcher = LocalProcessLauncher(
            .init(
                workerPath: program, logDirectory: directory, host: "here",
                environment: ["PATH": "/usr/bin:/bin"], killGrace: .seconds(2)))
        let queueID = try #require(QueueID("wf-started-\(uniqueName("").suffix(6))"))
        let step = try #require(StepID("work"))
        for number in 1...100 {
            let job = Job(
                queueID: queueID, id: InstanceID(step: step, instance: "all"), attempt: number,
                target: .dummyService, environment: [:])
            let handle = try await launcher.launch(job)
            let found = try await launcher.find(job.id, attempt: number, of: queueID)
            let seen = try await launcher.jobs().filter { $0.owner.queueID == queueID }
            try await launcher.kill(handle)
            try #require(found == handle, "attempt \(number)")
            try #require(seen.map(\.handle) == [handle], "attempt \(number)")
        }
    }

    /// A program that can be started, in a folder of its own.
    private func write(_ script: String, _ program: String) throws {
        let file = URL(filePath: program)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(script.utf8).write(to: file)
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: program)
    }
}
