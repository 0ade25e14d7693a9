import Workflow

/// The attempts that the engine has ended, as far as queue-control says and there is room: what is read of them is
/// skipped.
///
/// Only work is saved by it: the engine takes no word of an attempt that is over, and its documents harm nobody.
struct StoppedAttempts: Sendable {
    private struct Scope: Sendable, Hashable {
        var step: StepID?
        var instance: String?
        var attempt: Int?
    }

    private let limit: Int
    private var scopes: [QueueID: Set<Scope>] = [:]
    /// Oldest first.
    private var order: [(QueueID, Scope)] = []
    private var first = 0

    /// - Parameter limit: more stops than this push out the oldest.
    init(limit: Int = 50_000) { self.limit = limit }

    var count: Int { order.count - first }

    /// Notes a stop of the engine's. One that was sent by hand is left out: the engine would wait for ever for an
    /// attempt whose records were skipped.
    mutating func note(_ command: ControlCommand) {
        guard command.command == .stop, command.commandSeq != ControlCommand.outOfSequence else { return }
        let scope = Scope(step: command.step, instance: command.instance, attempt: command.attempt)
        guard scopes[command.queueID, default: []].insert(scope).inserted else { return }
        order.append((command.queueID, scope))
        if count > limit { forgetOldest() }
    }

    func contain(_ queueID: QueueID, _ id: InstanceID, attempt: Int) -> Bool {
        guard let scopes = scopes[queueID] else { return false }
        return scopes.contains {
            ($0.step ?? id.step) == id.step && ($0.instance ?? id.instance) == id.instance
                && ($0.attempt ?? attempt) == attempt
        }
    }

    private mutating func forgetOldest() {
        let (queueID, scope) = order[first]
        first += 1
        scopes[queueID]?.remove(scope)
        if scopes[queueID]?.isEmpty == true { scopes[queueID] = nil }
        // Moved together now and then instead of at each step.
        if first > limit {
            order.removeFirst(first)
            first = 0
        }
    }
}
