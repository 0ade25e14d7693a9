/// How a job ended, as far as its launcher knows: `exit 20`, `signal 9`, `OOMKilled: …`.
///
/// Launchers write the text, the engine stores it with the attempt and reads it again to decide.
package struct JobEnding: Sendable, Hashable {
    /// What a cluster says beside exit codes.
    package enum Cause: String, Sendable, Hashable, CaseIterable {
        /// It took more memory than its limit.
        case outOfMemory = "OOMKilled"
        /// Its node had too little of something, or it used too much.
        case evicted = "Evicted"
        /// It was moved away in good order: a drain, a node's shutdown.
        case drained = "Drained"
        case nodeLost = "NodeLost"
        /// Something more important took its place.
        case preempted = "Preempted"
        /// Somebody deleted its pod.
        case podDeleted = "PodDeleted"
        /// Somebody deleted the job itself.
        case jobDeleted = "JobDeleted"
        /// It took longer than a job may.
        case deadlineExceeded = "DeadlineExceeded"
        /// Its node would not take it.
        case refused = "Refused"
        /// Its program is not there, or is none.
        case startError = "StartError"
        /// Its container could not be started; another node may do better.
        case containerFailed = "ContainerFailed"
    }

    package enum Verdict: Sendable, Hashable {
        /// Worth another attempt; counts as a failure.
        case failed
        /// Not its own fault: the next attempt follows, and this one does not count.
        case excused
        /// Another attempt would end in the same way.
        case final
    }

    package let text: String

    package init(text: String) {
        self.text = text
    }

    package init(_ cause: Cause, _ detail: String) {
        text =
            detail.isEmpty ? cause.rawValue : "\(cause.rawValue): \(detail.prefix(Self.detailCharactersMax))"
    }

    package init(exitCode: Int) {
        text = "exit \(exitCode)"
    }

    private static let detailCharactersMax = 500

    /// nil for exit codes and signals.
    package var cause: Cause? { Cause(rawValue: String(text.prefix { $0 != ":" })) }

    package var verdict: Verdict {
        switch cause {
        case .drained, .nodeLost, .preempted, .podDeleted, .jobDeleted: .excused
        case .startError: .final
        case .outOfMemory, .evicted, .deadlineExceeded, .refused, .containerFailed, nil: .failed
        }
    }
}
