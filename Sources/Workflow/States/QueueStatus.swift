/// The states of a queue; the last three are final: only a retry, a new run of the queue, leaves them.
package enum QueueStatus: String, Sendable, Hashable, Codable, CaseIterable {
    case pending, running, paused, stopping, finished, failed, stopped

    /// Whether a person may run the queue again.
    package var mayBeRetried: Bool { self == .failed || self == .stopped }

    package var isFinal: Bool { self == .finished || self == .failed || self == .stopped }

    /// Whether the engine may move a queue from this state to `next`.
    package func mayBecome(_ next: QueueStatus) -> Bool {
        switch self {
        case .pending: next == .running || next == .paused || next == .stopping || next == .failed
        case .running: next == .paused || next == .stopping || next == .finished || next == .failed
        // A queue that was paused before its topics were made goes back to making them.
        case .paused: next == .running || next == .pending || next == .stopping
        case .stopping: next == .stopped
        case .finished, .failed, .stopped: false
        }
    }
}
