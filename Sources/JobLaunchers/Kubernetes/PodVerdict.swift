import KubernetesBridge
import Workflow

/// What the cluster knows of an attempt's job, and what that means to the engine: pure.
package struct JobFacts: Sendable {
    package var job: JobObject
    /// Its pods that exist, the oldest first.
    package var pods: [PodObject]
    /// The uid of the first pod it ever had, as far as it was seen.
    package var firstPod: String?
    /// How long it has not been running for the same reason.
    package var waited: Duration

    package init(job: JobObject, pods: [PodObject] = [], firstPod: String? = nil, waited: Duration = .zero) {
        self.job = job
        self.pods = pods
        self.firstPod = firstPod
        self.waited = waited
    }
}

/// How long a job may wait.
package struct WaitLimits: Sendable {
    /// For a place on a node, which may have to be made first.
    package var place = Duration.seconds(900)
    /// For an image that cannot be pulled or a container that cannot be made.
    package var container = Duration.seconds(120)

    package init() {}
}

extension JobFacts {
    /// What it waits for; its time counts anew when that changes.
    package enum WaitKind: Sendable, Hashable { case place, container }

    package var waitKind: WaitKind {
        pods.contains { $0.containerProblem != nil } ? .container : .place
    }

    /// - Parameter limits: beyond them a job that does not run is stuck.
    package func state(_ limits: WaitLimits) -> JobState {
        if job.holds("Complete") != nil { return .ended(how: JobEnding(exitCode: 0).text) }
        if let failed = job.holds("Failed") { return .ended(how: ending(failed).text) }
        // Somebody deletes it; it is gone when its pods are.
        if job.metadata.deletionTimestamp != nil { return .running }
        let known = firstPod.map { uid in pods.first { $0.metadata.uid == uid } }
        guard let pod = known ?? pods.first else {
            // The controller makes another pod in place of a deleted one; the attempt was the first one's.
            if firstPod != nil { return .ended(how: JobEnding(.podDeleted, "its pod was deleted").text) }
            return wait("NoPod", "its pod is not made yet", limit: limits.place, isFinal: false)
        }
        switch pod.status?.phase {
        case "Succeeded", "Failed": return .ended(how: pod.ending.text)
        case "Running", "Unknown": return .running
        default: return pending(pod, limits)
        }
    }

    /// The Job controller tells less than the pod, but for what it did itself.
    private func ending(_ failed: JobObject.Condition) -> JobEnding {
        if failed.reason == "DeadlineExceeded" {
            return JobEnding(.deadlineExceeded, failed.message ?? "its job took too long")
        }
        if let pod = pods.first(where: { ["Failed", "Succeeded"].contains($0.status?.phase) }) {
            return pod.ending
        }
        if pods.isEmpty { return JobEnding(.podDeleted, failed.message ?? "") }
        return JobEnding(text: "\(failed.reason ?? "Failed"): \(failed.message ?? "")")
    }

    private func pending(_ pod: PodObject, _ limits: WaitLimits) -> JobState {
        if let problem = pod.containerProblem {
            return wait(
                problem.reason, problem.message, limit: problem.isHopeless ? .zero : limits.container,
                isFinal: problem.isFinal)
        }
        if let scheduled = pod.condition("PodScheduled"), scheduled.status == "False" {
            return wait(
                scheduled.reason ?? "Unschedulable", scheduled.message ?? "no node takes it",
                limit: limits.place, isFinal: false)
        }
        let isPlaced = pod.spec?.nodeName != nil
        return wait(
            isPlaced ? "ContainerCreating" : "Pending",
            isPlaced ? "its container is being made" : "it has no node yet", limit: limits.place,
            isFinal: false)
    }

    private func wait(_ reason: String, _ message: String, limit: Duration, isFinal: Bool) -> JobState {
        let why = "\(reason): \(message.prefix(300))"
        return waited >= limit ? .stuck(why: why, isFinal: isFinal) : .waiting(why: why)
    }
}

extension PodObject {
    struct ContainerProblem: Sendable, Hashable {
        var reason: String
        var message: String
        /// Waiting does not help.
        var isHopeless = false
        /// Nor does another attempt.
        var isFinal = false
    }

    /// Why a container is not made, where that is more than being under way.
    var containerProblem: ContainerProblem? {
        let statuses = (status?.initContainerStatuses ?? []) + (status?.containerStatuses ?? [])
        for waiting in statuses.compactMap(\.state?.waiting) {
            let message = waiting.message ?? "no details"
            switch waiting.reason {
            case "ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable":
                return ContainerProblem(
                    reason: waiting.reason ?? "", message: message, isFinal: Self.isNoSuchImage(message))
            case "InvalidImageName", "ErrImageNeverPull":
                return ContainerProblem(
                    reason: waiting.reason ?? "", message: message, isHopeless: true, isFinal: true)
            // A Secret or ConfigMap is missing, or a variable is not legal: as wrong the next time.
            case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
                return ContainerProblem(reason: waiting.reason ?? "", message: message, isFinal: true)
            default: continue
            }
        }
        return nil
    }

    /// The registry answered, and does not have it or does not give it to us.
    private static func isNoSuchImage(_ message: String) -> Bool {
        let text = message.lowercased()
        return [
            "not found", "manifest unknown", "does not exist", "unauthorized", "access denied",
            "authorization failed", "denied:",
        ].contains { text.contains($0) }
    }

    /// How a pod that is over ended.
    var ending: JobEnding {
        if let disruption = condition("DisruptionTarget"), disruption.status == "True" {
            let message = disruption.message ?? ""
            switch disruption.reason {
            case "PreemptionByScheduler": return JobEnding(.preempted, message)
            case "DeletionByTaintManager", "DeletionByPodGC": return JobEnding(.nodeLost, message)
            case "EvictionByEvictionAPI": return JobEnding(.drained, message)
            default: break
            }
        }
        let message = status?.message ?? ""
        switch status?.reason {
        case "Evicted": return JobEnding(.evicted, message)
        case "NodeLost": return JobEnding(.nodeLost, message)
        case "Preempting", "Preempted": return JobEnding(.preempted, message)
        case "Terminated", "Shutdown", "NodeShutdown": return JobEnding(.drained, message)
        case "DeadlineExceeded": return JobEnding(.deadlineExceeded, message)
        case let reason? where reason.hasPrefix("OutOf") || Self.refusals.contains(reason):
            return JobEnding(.refused, "\(reason) \(message)")
        default: return containerEnding
        }
    }

    /// Why a node's kubelet does not take a pod that was given to it.
    private static let refusals: Set<String> = [
        "NodeAffinity", "UnexpectedAdmissionError", "NodePorts", "InvalidNodeInfo", "AppArmor",
        "PodOSSelectorNodeLabelDoesNotMatch", "SysctlForbidden", "TopologyAffinityError",
    ]

    private var containerEnding: JobEnding {
        let all = (status?.containerStatuses ?? []) + (status?.initContainerStatuses ?? [])
        let worker = all.first { $0.name == JobManifest.container && $0.state?.terminated != nil }
        guard let end = (worker ?? all.first { $0.state?.terminated != nil })?.state?.terminated else {
            return JobEnding(text: "\(status?.reason ?? "Failed"): \(status?.message ?? "no details")")
        }
        switch end.reason {
        case "OOMKilled": return JobEnding(.outOfMemory, "it took more memory than its limit")
        case "StartError", "ContainerCannotRun": return JobEnding(.startError, end.message ?? "")
        case "ContainerStatusUnknown": return JobEnding(.nodeLost, "its node does not know how it ended")
        default: return JobEnding(exitCode: end.exitCode)
        }
    }
}
