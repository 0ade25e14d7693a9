import KubernetesBridge
import Workflow

/// How a pod ended, or what can be said of one that is gone: pure.
extension PodObject {
    var hasEnded: Bool { ["Failed", "Succeeded"].contains(status?.phase) || hasOnlyOthersLeft }

    /// Whether the worker is through and another container still runs, e.g. a service mesh's: nobody will end that one,
    /// and the phase stays `Running`. A pod that is being taken away says later, and better, how it ended.
    private var hasOnlyOthersLeft: Bool {
        status?.phase == "Running" && workerEnd != nil && disruption == nil
            && metadata.deletionTimestamp == nil
            && status?.containerStatuses?.contains { $0.state?.running != nil } == true
    }

    private var workerEnd: Container.Terminated? {
        status?.containerStatuses?.first { $0.name == JobManifest.container }?.state?.terminated
    }

    /// Whether its node does not answer, as far as the cluster knows.
    ///
    /// When a node falls silent its pods stay as it last described them, containers that are ready in a pod that is
    /// marked as not ready, without a reason; a node that answers says so of both, and why.
    package var isOnLostNode: Bool {
        if status?.phase == "Unknown" || status?.reason == "NodeLost" { return true }
        if let disruption, Self.nodeLosses.contains(disruption.reason ?? "") { return true }
        guard status?.phase == "Running", let ready = condition("Ready"), ready.status == "False",
            (ready.reason ?? "").isEmpty, condition("ContainersReady")?.status != "False",
            let containers = status?.containerStatuses, !containers.isEmpty
        else { return false }
        return containers.allSatisfy { $0.ready == true && $0.state?.running != nil }
    }

    /// How it ended, when all that is known is how it was before it went.
    var endingWhenGone: JobEnding {
        if hasEnded { return ending }
        if let disrupted { return disrupted }
        return isOnLostNode
            ? JobEnding(.nodeLost, "its pod went with its node")
            : JobEnding(.podDeleted, "its pod was deleted")
    }

    /// How a pod that is over ended.
    var ending: JobEnding {
        if let disrupted { return disrupted }
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

    // MARK: Parts

    /// The cluster took its place away, or is about to, in whatever phase it is.
    private var disruption: Condition? {
        condition("DisruptionTarget").flatMap { $0.status == "True" ? $0 : nil }
    }

    private static let nodeLosses: Set<String> = ["DeletionByTaintManager", "DeletionByPodGC"]

    private var disrupted: JobEnding? {
        guard let disruption else { return nil }
        let message = disruption.message ?? ""
        switch disruption.reason {
        case "PreemptionByScheduler": return JobEnding(.preempted, message)
        case let reason? where Self.nodeLosses.contains(reason): return JobEnding(.nodeLost, message)
        // A node that ran out of something, or shuts down: its own words say which.
        case "TerminationByKubelet": return nil
        default: return JobEnding(.drained, message)
        }
    }

    /// Why a node's kubelet does not take a pod that was given to it.
    private static let refusals: Set<String> = [
        "NodeAffinity", "UnexpectedAdmissionError", "NodePorts", "InvalidNodeInfo", "AppArmor",
        "PodOSSelectorNodeLabelDoesNotMatch", "SysctlForbidden", "TopologyAffinityError",
    ]

    private var containerEnding: JobEnding {
        if let workerEnd { return ending(of: workerEnd, in: nil) }
        // The worker did not run: what kept it from that did not end well.
        let others = (status?.initContainerStatuses ?? []) + (status?.containerStatuses ?? [])
        for other in others {
            if let end = other.state?.terminated, end.exitCode != 0 {
                return ending(of: end, in: other.name)
            }
        }
        return JobEnding(text: "\(status?.reason ?? "Failed"): \(status?.message ?? "no details")")
    }

    /// - Parameter container: another one than the worker, whose exit codes mean nothing to us.
    private func ending(of end: Container.Terminated, in container: String?) -> JobEnding {
        let place = container.map { "container \($0): " } ?? ""
        let message = place + (end.message ?? "")
        switch end.reason {
        case "OOMKilled": return JobEnding(.outOfMemory, "\(place)it took more memory than its limit")
        case "StartError", "ContainerCannotRun":
            return JobEnding(Self.lacksProgram(message) ? .startError : .containerFailed, message)
        // What a node says of containers it finds ended when it begins anew; containerd's word is the second.
        case "ContainerStatusUnknown", "Unknown":
            return JobEnding(.nodeLost, "\(place)its node does not know how it ended")
        default:
            return container == nil
                ? JobEnding(exitCode: end.exitCode) : JobEnding(text: "\(place)exit \(end.exitCode)")
        }
    }

    /// The image has no such program, or none that this machine runs: the same on every node. Whatever else keeps a
    /// container from starting may be the node's own trouble, also a file of its own that is not there.
    private static func lacksProgram(_ message: String) -> Bool {
        let text = message.lowercased()
        if text.contains("exec format error") { return true }
        // crun's words, and runc's, which name the program: `exec: "worker": stat worker: no such file or directory`.
        if text.contains("executable file"), text.contains("not found") { return true }
        guard let program = text.firstRange(of: #"exec: ""#) else { return false }
        let reason = text[program.upperBound...]
        return ["no such file or directory", "permission denied"].contains { reason.contains($0) }
    }
}
