import KubernetesBridge
import Workflow

/// What the cluster knows of an attempt's job, and what that means to the engine: pure.
package struct JobFacts: Sendable {
    package var job: JobObject
    /// Its pods that exist, the oldest first.
    package var pods: [PodObject]
    /// The first pod it ever had, as it was last seen; nil: none was seen.
    package var firstPod: PodObject?
    /// Whether the server was asked for the pods themselves, since the Job failed: then there are no others.
    package var arePodsAskedFor: Bool
    /// How long it has not been running for the same reason.
    package var waited: Duration

    package init(
        job: JobObject, pods: [PodObject] = [], firstPod: PodObject? = nil, arePodsAskedFor: Bool = false,
        waited: Duration = .zero
    ) {
        self.job = job
        self.pods = pods
        self.firstPod = firstPod
        self.arePodsAskedFor = arePodsAskedFor
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

    /// Whether its end cannot be judged from what is in sight: the Job failed or is late, and the watch of pods is behind.
    package var needsPods: Bool {
        guard !arePodsAskedFor, endedPod == nil else { return false }
        if let failed = job.holds("Failed") { return failed.reason != "DeadlineExceeded" }
        return lateness != nil && pods.isEmpty
    }

    /// - Parameter limits: beyond them a job that does not run is stuck.
    package func state(_ limits: WaitLimits) -> JobState {
        if job.holds("Complete") != nil { return .ended(how: JobEnding(exitCode: 0).text) }
        if let failed = job.holds("Failed") ?? lateness { return ended(failed) }
        // Somebody deletes it; it is gone when its pods are.
        if job.metadata.deletionTimestamp != nil { return .running }
        let known = firstPod.map { first in pods.first { $0.metadata.uid == first.metadata.uid } }
        guard let pod = known ?? pods.first else {
            // The controller may make another pod in place of a deleted one; the attempt was the first one's.
            if let firstPod { return .ended(how: firstPod.endingWhenGone.text) }
            return wait("NoPod", "its pod is not made yet", limit: limits.place)
        }
        if pod.hasEnded { return .ended(how: pod.ending.text) }
        if pod.isOnLostNode {
            return .machineLost(why: "NodeLost: \(pod.spec?.nodeName ?? "its node") is silent")
        }
        switch pod.status?.phase {
        case "Running", "Unknown": return .running
        default: return pending(pod, limits)
        }
    }

    // MARK: Its end

    /// From Kubernetes 1.31 on a Job that took too long says so at once, and fails only when its pods are gone: how
    /// they end is the controller's doing.
    private var lateness: JobObject.Condition? {
        job.holds("FailureTarget").flatMap { $0.reason == "DeadlineExceeded" ? $0 : nil }
    }

    /// The pod that tells how it ended: among those that are there, else the first as it was last seen.
    private var endedPod: PodObject? {
        pods.first(where: \.hasEnded) ?? firstPod.flatMap { $0.hasEnded ? $0 : nil }
    }

    /// The Job controller tells less than the pod, but for what it did itself.
    private func ended(_ failed: JobObject.Condition) -> JobState {
        // From Kubernetes 1.27 on a Job may fail while its worker still ends: what it writes then still counts.
        if let ending = pods.first(where: { !$0.hasEnded }) {
            return ending.isOnLostNode
                ? .machineLost(why: "NodeLost: \(ending.spec?.nodeName ?? "its node") is silent") : .running
        }
        // What is not in sight is asked for before anything is said.
        if needsPods { return .running }
        if failed.reason == "DeadlineExceeded" {
            return .ended(how: JobEnding(.deadlineExceeded, failed.message ?? "its job took too long").text)
        }
        if let endedPod { return .ended(how: endedPod.ending.text) }
        if let firstPod { return .ended(how: firstPod.endingWhenGone.text) }
        return .ended(how: "\(failed.reason ?? "Failed"): \(failed.message ?? "no details")")
    }

    // MARK: Before it runs

    private func pending(_ pod: PodObject, _ limits: WaitLimits) -> JobState {
        if let problem = pod.containerProblem {
            return wait(
                problem.reason, "\(problem.what): \(problem.message)",
                limit: problem.isFinal ? .zero : limits.container, isFinal: problem.isFinal)
        }
        if pod.metadata.deletionTimestamp != nil {
            return wait("Terminating", "its pod is being deleted", limit: limits.place)
        }
        if let scheduled = pod.condition("PodScheduled"), scheduled.status == "False" {
            return wait(
                scheduled.reason ?? "Unschedulable", scheduled.message ?? "no node takes it",
                limit: limits.place)
        }
        let isPlaced = pod.spec?.nodeName != nil
        return wait(
            isPlaced ? "ContainerCreating" : "Pending",
            isPlaced ? "its container is being made" : "it has no node yet", limit: limits.place)
    }

    private func wait(
        _ reason: String, _ message: String, limit: Duration, isFinal: Bool = false
    ) -> JobState {
        let why = "\(reason): \(message.prefix(300))"
        return waited >= limit ? .stuck(why: why, isFinal: isFinal) : .waiting(why: why)
    }
}

extension PodObject {
    struct ContainerProblem: Sendable, Hashable {
        var reason: String
        /// In words.
        var what: String
        /// The node's own.
        var message: String
        /// Neither waiting nor another attempt helps.
        var isFinal = false
    }

    /// Why a container is not made, where that is more than being under way. Most of it passes: a registry comes
    /// back, somebody pushes the image or makes the Secret.
    var containerProblem: ContainerProblem? {
        let statuses = (status?.initContainerStatuses ?? []) + (status?.containerStatuses ?? [])
        for waiting in statuses.compactMap(\.state?.waiting) {
            let (reason, message) = (waiting.reason ?? "", waiting.message ?? "no details")
            switch reason {
            case "ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable",
                "ErrImageNeverPull", "SignatureValidationFailed":
                return ContainerProblem(
                    reason: reason, what: "its image cannot be pulled", message: message)
            case "InvalidImageName":
                return ContainerProblem(
                    reason: reason, what: "its image has no legal name", message: message, isFinal: true)
            case "CreateContainerConfigError":
                return ContainerProblem(
                    reason: reason, what: "a Secret, a ConfigMap or a variable is missing or wrong",
                    message: message)
            case "CreateContainerError", "RunContainerError", "CreatePodSandboxError":
                return ContainerProblem(
                    reason: reason, what: "its container cannot be made", message: message)
            case "CrashLoopBackOff":
                // Of a sidecar or an init container that is begun again; the worker never is.
                return ContainerProblem(
                    reason: reason, what: "a container before it ends again and again", message: message)
            default: continue
            }
        }
        return nil
    }
}
