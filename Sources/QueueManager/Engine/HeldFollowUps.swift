import Synchronization
import Workflow

/// Launches that are told to the store together with the first events of what was launched.
///
/// A worker of the pool answers an offer within milliseconds, so that the transaction for its event can write the
/// launch too. What is not heard of within one or two ticks is written by itself. Bounded by the reconciler's
/// claims: each of these has at most one.
final class HeldFollowUps: Sendable {
    private struct State {
        var waiting: [QueueID: (held: HandedIn, ticks: Int)] = [:]
        /// Queues whose events were just written without a look: what follows them up need not wait for these.
        /// Those of this tick and of the one before.
        var missed: (now: Set<QueueID>, before: Set<QueueID>) = ([], [])
        /// Partitions of queue-events that this replica reads: events of others come to another one.
        var partitions: Set<Int32> = []
        var isClosed = false
        var onFirst: @Sendable () -> Void = {}
    }

    private static let missedMax = 4_096
    private let state = Mutex(State())

    /// Tells who is to tick from now on until it is empty again.
    func setOnFirst(_ onFirst: @escaping @Sendable () -> Void) { state.withLock { $0.onFirst = onFirst } }

    var isEmpty: Bool { state.withLock { $0.waiting.isEmpty } }

    func setPartitions(_ partitions: Set<Int32>) { state.withLock { $0.partitions = partitions } }

    /// Whether events of this partition come to this replica.
    func hears(_ partition: Int32) -> Bool {
        state.withLock { !$0.isClosed && $0.partitions.contains(partition) }
    }

    /// Waits until events of the queue came and were written, or until a second tick; not at all where such events
    /// were written just before.
    func hold(_ followUp: LookFollowUp) async -> HandedIn.Outcome {
        await withCheckedContinuation { waiter in
            let (isHeld, onFirst) = state.withLock { state -> (Bool, (@Sendable () -> Void)?) in
                let id = followUp.claim.queueID
                let isMissed = state.missed.now.remove(id) != nil || state.missed.before.remove(id) != nil
                guard !state.isClosed, !isMissed, state.waiting[id] == nil else { return (false, nil) }
                defer { state.waiting[id] = (HandedIn(followUp: followUp, waiter: waiter), 0) }
                return (true, state.waiting.isEmpty ? state.onFirst : nil)
            }
            if !isHeld { waiter.resume(returning: .left) }
            onFirst?()
        }
    }

    /// Those of the given queues; each must be resumed.
    func take(_ queues: some Sequence<QueueID>) -> [HandedIn] {
        state.withLock { state in
            if state.missed.now.count >= Self.missedMax { state.missed = ([], state.missed.now) }
            return queues.compactMap { id in
                if let held = state.waiting.removeValue(forKey: id)?.held { return held }
                state.missed.now.insert(id)
                return nil
            }
        }
    }

    /// Queues that were looked at with the events that were last taken for them.
    func noteLooked(_ queues: some Sequence<QueueID>) {
        state.withLock { state in
            for id in queues {
                state.missed.now.remove(id)
                state.missed.before.remove(id)
            }
        }
    }

    /// Gives up waiting for those that were there at the last tick already.
    func tick() {
        let left = state.withLock { state in
            state.missed = ([], state.missed.now)
            let old = state.waiting.filter { $0.value.ticks > 0 }
            for id in old.keys { state.waiting[id] = nil }
            for id in state.waiting.keys { state.waiting[id]?.ticks += 1 }
            return old.values.map(\.held)
        }
        for held in left { held.resume(.left) }
    }

    /// Holds nothing any more.
    func close() {
        let left = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [:] }
            return state.waiting.values.map(\.held)
        }
        for held in left { held.resume(.left) }
    }
}
