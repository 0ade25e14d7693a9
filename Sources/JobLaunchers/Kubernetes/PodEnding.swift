import KubernetesBridge
import Workflow

/// How a pod ended, or what can be said of one that is gone: pure.
extension PodObject {
    var hasEnded: Bool { ["Failed", "Succeeded"].contains(status?.phase) }

    /// Whether its node does not answer, as far as the cluster knows.
    ///
    /// When a node falls silent its pods stay as it last described them, containers that are ready in a pod that is
    /// marked as not ready; a node that answers says so of both.
    package var isOnLostNode: Bool {
        if status?.phase == "Unknown" || status?.reason == "NodeLost" { return true }
        if let disruption, Self.nodeLosses.contains(disruption.reason ?? "") { return true }
        guard status?.phase == "Running", condition("Ready")?.status == "False",
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
        let all = (status?.containerStatuses ?? []) + (status?.initContainerStatuses ?? [])
        let worker = all.first { $0.name == JobManifest.container && $0.state?.terminated != nil }
        guard let end = (worker ?? all.first { $0.state?.terminated != nil })?.state?.terminated else {
            return JobEnding(text: "\(status?.reason ?? "Failed"): \(status?.message ?? "no details")")
        }
        let message = end.message ?? ""
        switch end.reason {
        case "OOMKilled": return JobEnding(.outOfMemory, "it took more memory than its limit")
        case "StartError", "ContainerCannotRun":
            return JobEnding(Self.lacksProgram(message) ? .startError : .containerFailed, message)
        case "ContainerStatusUnknown": return JobEnding(.nodeLost, "its node does not know how it ended")
        default: return JobEnding(exitCode: end.exitCode)
        }
    }

    /// The image has no such program, or none that this machine runs: the same on every node. Whatever else keeps a
    /// container from starting may be the node's own trouble.
    private static func lacksProgram(_ message: String) -> Bool {
        let text = message.lowercased()
        return [
            "executable file not found", "no such file or directory", "no such file", "exec format error",
            "permission denied",
        ].contains { text.contains($0) }
    }
}
