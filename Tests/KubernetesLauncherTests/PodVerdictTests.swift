import FoundationEssentials
import JobLaunchers
import KubernetesBridge
import Testing
import Workflow

/// What the cluster says of a Job, and what the engine is told.
struct PodVerdictTests {
    private static let limits = WaitLimits()

    private func job(_ status: String = "{}", deleted: Bool = false) throws -> JobObject {
        let deletion = deleted ? #","deletionTimestamp":"2026-01-01T00:00:00Z""# : ""
        return try JSONDecoder().decode(
            JobObject.self,
            from: Data(#"{"metadata":{"name":"j","uid":"j1"\#(deletion)},"status":\#(status)}"#.utf8))
    }

    private func pod(_ status: String, uid: String = "p1", node: Bool = true) throws -> PodObject {
        let spec = node ? #"{"nodeName":"n"}"# : "{}"
        return try JSONDecoder().decode(
            PodObject.self,
            from: Data(#"{"metadata":{"name":"p","uid":"\#(uid)"},"spec":\#(spec),"status":\#(status)}"#.utf8)
        )
    }

    private func state(_ pods: [PodObject], first: String? = nil, waited: Duration = .zero) throws -> JobState
    {
        JobFacts(job: try job(), pods: pods, firstPod: first, waited: waited).state(Self.limits)
    }

    private func failed(_ reason: String) -> String {
        #"{"conditions":[{"type":"Failed","status":"True","reason":"\#(reason)","message":"said"}]}"#
    }

    @Test func `a job that is complete ended well`() throws {
        let complete = #"{"conditions":[{"type":"Complete","status":"True"}]}"#
        #expect(JobFacts(job: try job(complete)).state(Self.limits) == .ended(how: "exit 0"))
    }

    @Test func `a pod that runs, or whose node does not answer, runs`() throws {
        #expect(try state([pod(#"{"phase":"Running"}"#)]) == .running)
        #expect(try state([pod(#"{"phase":"Unknown"}"#)]) == .running)
    }

    @Test func `a job that is being deleted is there until it is gone`() throws {
        #expect(JobFacts(job: try job(deleted: true)).state(Self.limits) == .running)
    }

    @Test(arguments: [
        (#""reason":"Error","exitCode":20"#, "exit 20", JobEnding.Verdict.failed),
        (#""reason":"Completed","exitCode":0"#, "exit 0", .failed),
        (#""reason":"OOMKilled","exitCode":137"#, "OOMKilled: it took more memory than its limit", .failed),
        (
            #""reason":"StartError","exitCode":128,"message":"no such file""#, "StartError: no such file",
            .final
        ),
        (
            #""reason":"ContainerStatusUnknown","exitCode":137"#,
            "NodeLost: its node does not know how it ended", .excused
        ),
    ])
    func `a container's end is told before the Job controller says so`(
        terminated: String, text: String, verdict: JobEnding.Verdict
    ) throws {
        let status =
            #"{"phase":"Failed","containerStatuses":[{"name":"worker","state":{"terminated":{\#(terminated)}}}]}"#
        #expect(try state([pod(status)]) == .ended(how: text))
        #expect(JobEnding(text: text).verdict == verdict)
    }

    @Test(arguments: [
        ("Evicted", JobEnding.Cause.evicted, JobEnding.Verdict.failed), ("NodeLost", .nodeLost, .excused),
        ("Preempting", .preempted, .excused), ("Terminated", .drained, .excused),
        ("DeadlineExceeded", .deadlineExceeded, .failed), ("OutOfmemory", .refused, .failed),
        ("NodeAffinity", .refused, .failed),
    ])
    func `why a pod failed is told in words that decide`(
        reason: String, cause: JobEnding.Cause, verdict: JobEnding.Verdict
    ) throws {
        let state = try state([pod(#"{"phase":"Failed","reason":"\#(reason)","message":"said so"}"#)])
        guard case .ended(let how?) = state else { return #expect(Bool(false), "\(state)") }
        #expect(JobEnding(text: how).cause == cause)
        #expect(JobEnding(text: how).verdict == verdict)
        #expect(how.contains("said so"))
    }

    @Test(arguments: [
        ("PreemptionByScheduler", JobEnding.Cause.preempted), ("DeletionByTaintManager", .nodeLost),
        ("EvictionByEvictionAPI", .drained), ("DeletionByPodGC", .nodeLost),
    ])
    func `a disruption excuses the attempt`(reason: String, cause: JobEnding.Cause) throws {
        let status =
            #"{"phase":"Failed","conditions":[{"type":"DisruptionTarget","status":"True","reason":"\#(reason)"}]}"#
        let state = try state([pod(status)])
        guard case .ended(let how?) = state else { return #expect(Bool(false), "\(state)") }
        #expect(JobEnding(text: how).cause == cause)
        #expect(JobEnding(text: how).verdict == .excused)
    }

    @Test func `a failed job tells what its pod says, but for its own deadline`() throws {
        let ended = try pod(
            #"{"phase":"Failed","containerStatuses":[{"name":"worker","state":{"terminated":{"exitCode":10}}}]}"#
        )
        let limit = JobFacts(job: try job(failed("BackoffLimitExceeded")), pods: [ended], firstPod: "p1")
        #expect(limit.state(Self.limits) == .ended(how: "exit 10"))
        let late = JobFacts(job: try job(failed("DeadlineExceeded")), pods: [ended], firstPod: "p1")
        #expect(late.state(Self.limits) == .ended(how: "DeadlineExceeded: said"))
        let alone = JobFacts(job: try job(failed("BackoffLimitExceeded")), firstPod: "p1")
        #expect(alone.state(Self.limits) == .ended(how: "PodDeleted: said"))
    }

    @Test func `a pod that was deleted ends the attempt, also when another takes its place`() throws {
        let deleted = JobState.ended(how: "PodDeleted: its pod was deleted")
        #expect(try state([], first: "p1") == deleted)
        #expect(try state([pod(#"{"phase":"Running"}"#, uid: "p2")], first: "p1") == deleted)
        #expect(JobEnding(.podDeleted, "").verdict == .excused)
    }

    @Test func `a job without a pod, and one without a node, wait and say why`() throws {
        #expect(try state([]) == .waiting(why: "NoPod: its pod is not made yet"))
        let status =
            #"{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"0/3 nodes are available"}]}"#
        let unplaced = try pod(status, node: false)
        #expect(try state([unplaced]) == .waiting(why: "Unschedulable: 0/3 nodes are available"))
        #expect(
            try state([unplaced], waited: .seconds(900))
                == .stuck(why: "Unschedulable: 0/3 nodes are available", isFinal: false))
        #expect(
            try state([pod(#"{"phase":"Pending"}"#)])
                == .waiting(why: "ContainerCreating: its container is being made"))
    }

    @Test(arguments: [
        (
            "ErrImagePull", "connection reset by peer", Duration.zero,
            JobState.waiting(why: "ErrImagePull: connection reset by peer")
        ),
        (
            "ImagePullBackOff", "Back-off pulling image", .seconds(120),
            .stuck(why: "ImagePullBackOff: Back-off pulling image", isFinal: false)
        ),
        ("ErrImagePull", "manifest unknown", .seconds(119), .waiting(why: "ErrImagePull: manifest unknown")),
        (
            "ErrImagePull", "manifest unknown", .seconds(120),
            .stuck(why: "ErrImagePull: manifest unknown", isFinal: true)
        ),
        ("InvalidImageName", "bad", .zero, .stuck(why: "InvalidImageName: bad", isFinal: true)),
        (
            "CreateContainerConfigError", "secret \\\"s\\\" not found", .zero,
            .waiting(why: "CreateContainerConfigError: secret \"s\" not found")
        ),
        (
            "CreateContainerConfigError", "gone", .seconds(120),
            .stuck(why: "CreateContainerConfigError: gone", isFinal: true)
        ),
    ])
    func `a container that cannot be made waits, then the attempt ends`(
        reason: String, message: String, waited: Duration, expected: JobState
    ) throws {
        let status =
            #"{"phase":"Pending","containerStatuses":[{"name":"worker","state":{"waiting":{"reason":"\#(reason)","message":"\#(message)"}}}]}"#
        #expect(try state([pod(status)], waited: waited) == expected)
        #expect(JobFacts(job: try job(), pods: [try pod(status)]).waitKind == .container)
    }

    @Test func `exit codes and signals decide as for local processes`() {
        #expect(JobEnding(text: "exit 20").cause == nil)
        #expect(JobEnding(text: "signal 9").verdict == .failed)
    }
}
