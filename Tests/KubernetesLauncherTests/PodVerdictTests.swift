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

    private func pod(
        _ status: String, uid: String = "p1", node: Bool = true, deleted: Bool = false
    ) throws -> PodObject {
        let spec = node ? #"{"nodeName":"n"}"# : "{}"
        let deletion = deleted ? #","deletionTimestamp":"2026-01-01T00:00:00Z""# : ""
        return try JSONDecoder().decode(
            PodObject.self,
            from: Data(
                #"{"metadata":{"name":"p","uid":"\#(uid)"\#(deletion)},"spec":\#(spec),"status":\#(status)}"#
                    .utf8))
    }

    private func running(ready: Bool, containerReady: Bool, more: String = "") -> String {
        #"{"phase":"Running","conditions":[{"type":"Ready","status":"\#(ready ? "True" : "False")"}\#(more)],"#
            + #""containerStatuses":[{"name":"worker","ready":\#(containerReady),"state":{"running":{}}}]}"#
    }

    private func state(
        _ pods: [PodObject], first: PodObject? = nil, waited: Duration = .zero
    ) throws -> JobState {
        JobFacts(job: try job(), pods: pods, firstPod: first, waited: waited).state(Self.limits)
    }

    private func failed(_ reason: String) -> String {
        #"{"conditions":[{"type":"Failed","status":"True","reason":"\#(reason)","message":"said"}]}"#
    }

    @Test func `a job that is complete ended well`() throws {
        let complete = #"{"conditions":[{"type":"Complete","status":"True"}]}"#
        #expect(JobFacts(job: try job(complete)).state(Self.limits) == .ended(how: "exit 0"))
    }

    @Test func `a pod that runs runs`() throws {
        #expect(try state([pod(#"{"phase":"Running"}"#)]) == .running)
    }

    @Test func `a job that is being deleted is there until it is gone`() throws {
        #expect(JobFacts(job: try job(deleted: true)).state(Self.limits) == .running)
    }

    @Test(arguments: [
        (#""reason":"Error","exitCode":20"#, "exit 20", JobEnding.Verdict.failed),
        (#""reason":"Completed","exitCode":0"#, "exit 0", .failed),
        (#""reason":"OOMKilled","exitCode":137"#, "OOMKilled: it took more memory than its limit", .failed),
        (
            #""reason":"StartError","exitCode":128,"message":"exec: \"w\": executable file not found in $PATH""#,
            #"StartError: exec: "w": executable file not found in $PATH"#, .final
        ),
        (
            #""reason":"StartError","exitCode":128,"message":"exec: \"/w\": stat /w: no such file or directory""#,
            #"StartError: exec: "/w": stat /w: no such file or directory"#, .final
        ),
        (
            #""reason":"StartError","exitCode":126,"message":"exec: \"/w\": permission denied""#,
            #"StartError: exec: "/w": permission denied"#, .final
        ),
        (
            #""reason":"StartError","exitCode":127,"message":"executable file `w` not found in $PATH""#,
            "StartError: executable file `w` not found in $PATH", .final
        ),
        (
            #""reason":"StartError","exitCode":128,"message":"exec /w: exec format error""#,
            "StartError: exec /w: exec format error", .final
        ),
        (
            #""reason":"StartError","exitCode":128,"message":"mounting cgroup: no such file or directory""#,
            "ContainerFailed: mounting cgroup: no such file or directory", .failed
        ),
        (
            #""reason":"ContainerCannotRun","exitCode":127,"message":"libnvidia-ml.so.1: no such file""#,
            "ContainerFailed: libnvidia-ml.so.1: no such file", .failed
        ),
        (
            #""reason":"StartError","exitCode":128,"message":"cgroup is busy""#,
            "ContainerFailed: cgroup is busy", .failed
        ),
        (
            #""reason":"ContainerStatusUnknown","exitCode":137"#,
            "NodeLost: its node does not know how it ended", .excused
        ),
        (
            #""reason":"Unknown","exitCode":255"#,
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

    @Test func `a worker that never ran is told from the container that kept it from running`() throws {
        func status(_ second: String) -> String {
            #"{"phase":"Failed","initContainerStatuses":[{"name":"one","state":{"terminated":{"exitCode":0}}},"#
                + #"{"name":"two","state":{"terminated":{\#(second)}}}],"#
                + #""containerStatuses":[{"name":"worker","state":{"waiting":{"reason":"PodInitializing"}}}]}"#
        }
        // Its codes are not the worker's: `exit 10` would be final.
        #expect(try state([pod(status(#""exitCode":10"#))]) == .ended(how: "container two: exit 10"))
        let full = try state([pod(status(#""exitCode":137,"reason":"OOMKilled""#))])
        #expect(full == .ended(how: "OOMKilled: container two: it took more memory than its limit"))
    }

    @Test func `a worker beside containers that go on has ended, unless its pod is being taken away`() throws
    {
        func status(_ worker: String, _ more: String = "") -> String {
            #"{"phase":"Running"\#(more),"containerStatuses":[{"name":"mesh","state":{"running":{}}},"#
                + #"{"name":"worker","state":\#(worker)}]}"#
        }
        let through = #"{"terminated":{"exitCode":10,"reason":"Error"}}"#
        #expect(try state([pod(status(through))]) == .ended(how: "exit 10"))
        #expect(try state([pod(status(#"{"running":{}}"#))]) == .running)
        // How it ended comes with the phase.
        #expect(try state([pod(status(through), deleted: true)]) == .running)
        let disrupted =
            #","conditions":[{"type":"DisruptionTarget","status":"True","reason":"TerminationByKubelet"}]"#
        #expect(try state([pod(status(through, disrupted))]) == .running)
        let alone = #"{"phase":"Running","containerStatuses":[{"name":"worker","state":\#(through)}]}"#
        #expect(try state([pod(alone)]) == .running)
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
        ("EvictionByEvictionAPI", .drained), ("DeletionByPodGC", .nodeLost), ("SomethingNewer", .drained),
    ])
    func `a disruption excuses the attempt, in whatever phase it was last seen`(
        reason: String, cause: JobEnding.Cause
    ) throws {
        for phase in ["Failed", "Running", "Pending"] {
            let disrupted = try pod(
                #"{"phase":"\#(phase)","conditions":[{"type":"DisruptionTarget","status":"True","reason":"\#(reason)"}]}"#
            )
            let state = try state(phase == "Failed" ? [disrupted] : [], first: disrupted)
            guard case .ended(let how?) = state else { return #expect(Bool(false), "\(state)") }
            #expect(JobEnding(text: how).cause == cause)
            #expect(JobEnding(text: how).verdict == .excused)
        }
    }

    @Test func `a node that ends a pod for its own use of it is no excuse`() throws {
        let evicted = try pod(
            #"{"phase":"Failed","reason":"Evicted","message":"disk","conditions":[{"type":"DisruptionTarget","status":"True","reason":"TerminationByKubelet"}]}"#
        )
        #expect(try state([evicted]) == .ended(how: "Evicted: disk"))
    }

    // MARK: Failed jobs

    private static let exit10 =
        #"{"phase":"Failed","containerStatuses":[{"name":"worker","state":{"terminated":{"exitCode":10}}}]}"#

    @Test func `a failed job tells what its pod says, but for its own deadline`() throws {
        let ended = try pod(Self.exit10)
        let limit = JobFacts(job: try job(failed("BackoffLimitExceeded")), pods: [ended], firstPod: ended)
        #expect(limit.state(Self.limits) == .ended(how: "exit 10") && !limit.needsPods)
        let late = JobFacts(job: try job(failed("DeadlineExceeded")), pods: [ended], firstPod: ended)
        #expect(late.state(Self.limits) == .ended(how: "DeadlineExceeded: said") && !late.needsPods)
    }

    @Test func `a failed job whose pods are not in sight is not judged before they were asked for`() throws {
        var facts = JobFacts(job: try job(failed("BackoffLimitExceeded")))
        #expect(facts.needsPods && facts.state(Self.limits) == .running)
        facts.pods = [try pod(running(ready: true, containerReady: true))]
        #expect(facts.needsPods && facts.state(Self.limits) == .running)
        facts.pods = [try pod(Self.exit10)]
        #expect(!facts.needsPods && facts.state(Self.limits) == .ended(how: "exit 10"))
        facts.pods = []
        facts.arePodsAskedFor = true
        // None was ever seen: nobody can say that somebody deleted it.
        #expect(!facts.needsPods && facts.state(Self.limits) == .ended(how: "BackoffLimitExceeded: said"))
        #expect(JobEnding(text: "BackoffLimitExceeded: said").verdict == .failed)
    }

    @Test func `a pod that was seen and is gone was deleted, unless it had said how it ended`() throws {
        var facts = JobFacts(job: try job(failed("BackoffLimitExceeded")), arePodsAskedFor: true)
        facts.firstPod = try pod(running(ready: true, containerReady: true))
        #expect(facts.state(Self.limits) == .ended(how: "PodDeleted: its pod was deleted"))
        facts.firstPod = try pod(Self.exit10)
        #expect(facts.state(Self.limits) == .ended(how: "exit 10"))
    }

    @Test func `a failed job runs as long as its worker still ends`() throws {
        let ending = try pod(running(ready: true, containerReady: true), deleted: true)
        for reason in ["BackoffLimitExceeded", "DeadlineExceeded"] {
            let facts = JobFacts(
                job: try job(failed(reason)), pods: [ending], firstPod: ending, arePodsAskedFor: true)
            #expect(facts.state(Self.limits) == .running)
        }
    }

    @Test func `a job that took too long is known as late before its pods are gone`() throws {
        let late = try job(
            #"{"conditions":[{"type":"FailureTarget","status":"True","reason":"DeadlineExceeded","message":"said"}]}"#
        )
        let ended = try pod(Self.exit10)
        let ending = try pod(running(ready: true, containerReady: true), deleted: true)
        #expect(JobFacts(job: late, pods: [ending], firstPod: ending).state(Self.limits) == .running)
        for pods in [[ended], []] {
            let facts = JobFacts(job: late, pods: pods, firstPod: ended)
            #expect(facts.state(Self.limits) == .ended(how: "DeadlineExceeded: said") && !facts.needsPods)
        }
        // A worker that still ends may merely not be in sight, e.g. after a restart.
        var unseen = JobFacts(job: late)
        #expect(unseen.needsPods && unseen.state(Self.limits) == .running)
        unseen.arePodsAskedFor = true
        #expect(unseen.state(Self.limits) == .ended(how: "DeadlineExceeded: said") && !unseen.needsPods)
        let other = try job(
            #"{"conditions":[{"type":"FailureTarget","status":"True","reason":"PodFailurePolicy"}]}"#)
        #expect(JobFacts(job: other, pods: [ended]).state(Self.limits) == .ended(how: "exit 10"))
    }

    // MARK: Pods that go

    @Test func `a pod that was deleted ends the attempt, also when another takes its place`() throws {
        let deleted = JobState.ended(how: "PodDeleted: its pod was deleted")
        let first = try pod(running(ready: true, containerReady: true))
        #expect(try state([], first: first) == deleted)
        #expect(try state([pod(#"{"phase":"Running"}"#, uid: "p2")], first: first) == deleted)
        #expect(JobEnding(.podDeleted, "").verdict == .excused)
    }

    @Test func `a pod that is being deleted runs while its worker ends, and waits while it has none`() throws
    {
        #expect(
            try state([pod(running(ready: true, containerReady: true), deleted: true)]) == .running)
        #expect(
            try state([pod(#"{"phase":"Pending"}"#, deleted: true)])
                == .waiting(why: "Terminating: its pod is being deleted"))
    }

    @Test func `a pod whose node fell silent is told from one that is not ready`() throws {
        let lost = JobState.machineLost(why: "NodeLost: n is silent")
        #expect(try state([pod(running(ready: false, containerReady: true))]) == lost)
        #expect(try state([pod(running(ready: false, containerReady: true), deleted: true)]) == lost)
        #expect(try state([pod(running(ready: false, containerReady: false))]) == .running)
        #expect(try state([pod(running(ready: true, containerReady: true))]) == .running)
        let tainted =
            #",{"type":"DisruptionTarget","status":"True","reason":"DeletionByTaintManager"}"#
        #expect(try state([pod(running(ready: true, containerReady: true, more: tainted))]) == lost)
        #expect(try state([pod(#"{"phase":"Unknown"}"#)]) == lost)
        // A healthy node says why: a sidecar or a gate that is not ready.
        for reason in ["ContainersNotReady", "ReadinessGatesNotReady"] {
            let unready = running(ready: false, containerReady: true).replacing(
                #""status":"False""#, with: #""status":"False","reason":"\#(reason)""#)
            #expect(try state([pod(unready)]) == .running)
        }
        // It goes with its node.
        let gone = try state([], first: pod(running(ready: false, containerReady: true)))
        #expect(gone == .ended(how: "NodeLost: its pod went with its node"))
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
        ("ErrImagePull", "its image cannot be pulled"), ("ImagePullBackOff", "its image cannot be pulled"),
        ("ErrImageNeverPull", "its image cannot be pulled"),
        ("CreateContainerConfigError", "a Secret, a ConfigMap or a variable is missing or wrong"),
        ("CreateContainerError", "its container cannot be made"),
        ("RunContainerError", "its container cannot be made"),
    ])
    func `a container that cannot be made waits and says for what, then the attempt has failed`(
        reason: String, what: String
    ) throws {
        // Also what a registry calls denied or not found may be mended.
        let waiting = try pod(waiting(reason, "manifest unknown: denied"))
        let why = "\(reason): \(what): manifest unknown: denied"
        #expect(try state([waiting], waited: .seconds(119)) == .waiting(why: why))
        #expect(try state([waiting], waited: .seconds(120)) == .stuck(why: why, isFinal: false))
        #expect(JobFacts(job: try job(), pods: [waiting]).waitKind == .container)
    }

    @Test func `an image that has no legal name is never waited for`() throws {
        #expect(
            try state([pod(waiting("InvalidImageName", "bad"))])
                == .stuck(why: "InvalidImageName: its image has no legal name: bad", isFinal: true))
    }

    private func waiting(_ reason: String, _ message: String) -> String {
        #"{"phase":"Pending","containerStatuses":[{"name":"worker","state":{"waiting":{"reason":"\#(reason)","message":"\#(message)"}}}]}"#
    }

    @Test func `exit codes and signals decide as for local processes`() {
        #expect(JobEnding(text: "exit 20").cause == nil)
        #expect(JobEnding(text: "signal 9").verdict == .failed)
    }
}
