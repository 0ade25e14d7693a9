/// The states of a queue; the last three are final.
package enum QueueStatus: String, Sendable, Hashable, Codable, CaseIterable {
    case pending, running, paused, stopping, finished, failed, stopped

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
