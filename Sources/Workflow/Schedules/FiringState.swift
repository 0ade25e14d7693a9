/// The life of one firing of a schedule; the last four are final.
///
/// ```
/// waiting ─► starting ─► started ─► ended          missed
///    └─► skipped     └─► failed                    skipped
/// ```
package enum FiringState: String, Sendable, Hashable, CaseIterable {
    /// Held back until nothing else of the schedule runs.
    case waiting
    /// Decided: its queue is being created.
    case starting
    /// Its queue was created.
    case started
    /// Its queue is final.
    case ended
    /// The request was refused.
    case failed
    /// Left out because of the overlap policy.
    case skipped
    /// Nobody was there in time.
    case missed

    package var isFinal: Bool {
        switch self {
        case .waiting, .starting, .started: false
        case .ended, .failed, .skipped, .missed: true
        }
    }

    package func mayBecome(_ next: FiringState) -> Bool {
        switch self {
        case .waiting: next == .starting || next == .skipped
        case .starting: next == .started || next == .failed
        case .started: next == .ended
        case .ended, .failed, .skipped, .missed: false
        }
    }
}
