/// The life of one shard of a backfill over its tries: event in, answer out.
///
/// ```
/// waiting ─launch─► starting ─started─► running ─queue finished─► finished
///    ▲  └─cancel─► cancelled   └─refused─► failed ◄─queue failed or stopped─┘   (cancelled where unwanted)
///    └──────────── retry (next try) ───────┘
/// ```
/// `finished` and `cancelled` are final; `failed` is at rest until a retry.
package struct ShardMachine: Sendable, Hashable {
    package enum State: String, Sendable, Hashable, CaseIterable {
        case waiting, starting, running, finished, failed, cancelled

        package var isFinal: Bool { self == .finished || self == .cancelled }
        /// Nothing of it runs or will run by itself.
        package var isOver: Bool { isFinal || self == .failed }
    }

    package enum Input: Sendable, Hashable {
        case launch
        /// The queue of this try was created.
        case started(attempt: Int)
        /// The start request of this try was refused for good.
        case refused(attempt: Int, reason: String)
        case queueEnded(attempt: Int, QueueStatus, reason: String?)
        case cancel
        case retry
    }

    package enum Answer: Sendable, Hashable {
        /// Late, doubled, or meant for another try.
        case ignore
        case changed
        /// Its queue must be told to stop.
        case stopQueue
    }

    package private(set) var state: State
    /// The number of the newest try; 0 before the first.
    package private(set) var attempt: Int
    /// False after `cancel`.
    package private(set) var isWanted: Bool
    package private(set) var reason: String?

    package init(state: State = .waiting, attempt: Int = 0, isWanted: Bool = true, reason: String? = nil) {
        self.state = state
        self.attempt = attempt
        self.isWanted = isWanted
        self.reason = reason
    }

    package mutating func apply(_ input: Input) -> Answer {
        switch input {
        case .launch:
            guard state == .waiting, isWanted else { return .ignore }
            attempt += 1
            return move(to: .starting, nil)
        case .started(let number):
            guard state == .starting, number == attempt else { return .ignore }
            state = .running
            return isWanted ? .changed : .stopQueue
        case .refused(let number, let why):
            guard state == .starting, number == attempt else { return .ignore }
            return isWanted ? move(to: .failed, why) : move(to: .cancelled, nil)
        case .queueEnded(let number, let status, let why):
            guard state == .running, number == attempt, status.isFinal else { return .ignore }
            if status == .finished { return move(to: .finished, nil) }
            guard isWanted else { return move(to: .cancelled, nil) }
            return move(to: .failed, why ?? "its queue was \(status.rawValue)")
        case .cancel: return cancel()
        case .retry:
            guard state == .failed, isWanted else { return .ignore }
            return move(to: .waiting, reason)
        }
    }

    private mutating func cancel() -> Answer {
        switch state {
        case .waiting: return move(to: .cancelled, nil)
        case .starting, .running:
            guard isWanted else { return .ignore }
            isWanted = false
            return state == .running ? .stopQueue : .changed
        case .finished, .failed, .cancelled: return .ignore
        }
    }

    private mutating func move(to next: State, _ why: String?) -> Answer {
        state = next
        reason = why
        return .changed
    }
}
