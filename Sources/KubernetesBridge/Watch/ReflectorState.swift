/// What a ``Reflector`` does next: list, then watch from there, and what follows when either fails. Pure.
///
/// ```
/// list ─pages─► watch ─ended, cut, silent─► watch from the last version seen
///   ▲             │
///   └── 410 Gone, resync due ◄──┘          any failure waits first, longer each time
/// ```
package struct ReflectorState: Sendable {
    package enum Step: Sendable, Hashable {
        /// Ask for a piece of the list; nil: the first.
        case list(after: String?)
        case watch(from: String)
        case wait(Duration)
    }

    package enum Input: Sendable {
        case waited
        case listed(version: String, next: String?)
        case listFailed(KubernetesError)
        /// The watch came this far.
        case seen(version: String)
        /// The watch ended by itself or by a failure. `isOld`: a list is due all the same, see ``Reflector``.
        case watchEnded(lived: Duration, KubernetesError?, isOld: Bool)
    }

    /// A watch that lived at least so long was a good one: the next failure begins with a short wait.
    package static let goodLife = Duration.seconds(1)

    /// Where the watch goes on; nil before the first whole list.
    package private(set) var version: String?
    private var backoff: Backoff
    /// What follows the wait.
    private var afterWait = Step.list(after: nil)

    package init(backoff: Backoff = Backoff()) {
        self.backoff = backoff
    }

    package static let first = Step.list(after: nil)

    /// - Parameter draw: from 0 to 1, drawn at random by the caller.
    /// - Returns: what to do next; nil: go on with what is being done.
    package mutating func apply(_ input: Input, draw: Double) -> Step? {
        switch input {
        case .waited:
            return afterWait
        case .listed(let version, let next):
            if let next { return .list(after: next) }
            self.version = version
            return .watch(from: version)
        case .listFailed(let error):
            version = nil
            // A list that took too long begins anew; that is no trouble of the server's.
            let isFirst = backoff.failures == 0
            let next = backoff.next(draw: draw)
            let wait = error.code == .expired && isFirst ? .zero : next
            return pause(max(error.pause, wait), then: .list(after: nil))
        case .seen(let version):
            if !version.isEmpty { self.version = version }
            return nil
        case .watchEnded(let lived, let error, let isOld):
            return watchEnded(lived, error, isOld, draw)
        }
    }

    private mutating func watchEnded(
        _ lived: Duration, _ error: KubernetesError?, _ isOld: Bool, _ draw: Double
    ) -> Step {
        if lived >= Self.goodLife { backoff.reset() }
        guard let version, error?.code != .expired, !isOld else {
            self.version = nil
            // Not at once again and again, should each list be old when it arrives.
            let wait = lived >= Self.goodLife ? .zero : backoff.next(draw: draw)
            return pause(max(error?.pause ?? .zero, wait), then: .list(after: nil))
        }
        // Lived well and ended in good order: nothing was wrong.
        if error == nil, lived >= Self.goodLife { return .watch(from: version) }
        return pause(max(error?.pause ?? .zero, backoff.next(draw: draw)), then: .watch(from: version))
    }

    private mutating func pause(_ wait: Duration, then step: Step) -> Step {
        afterWait = step
        return wait > .zero ? .wait(wait) : step
    }
}
