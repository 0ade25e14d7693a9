internal import CRdkafka
import Dispatch
import Synchronization

/// Rebalances that librdkafka told us of and that are not carried out yet.
///
/// Between telling and carrying out (the next poll) the consumer's owner finishes and commits what it read.
final class RebalanceInbox: Sendable {
    struct State: Sendable {
        var pending: [KafkaRebalance] = []
        /// While closing, changes are carried out on ``answers``: nobody polls any more.
        var isClosing = false
    }

    private let state = Mutex(State())
    /// One after the other, on a thread of its own.
    let answers = DispatchQueue(label: "kafka-consumer-close")

    func close() { state.withLock { $0.isClosing = true } }

    var isClosing: Bool { state.withLock { $0.isClosing } }

    func add(_ rebalance: KafkaRebalance) { state.withLock { $0.pending.append(rebalance) } }

    func take() -> [KafkaRebalance] {
        state.withLock { state in
            defer { state.pending = [] }
            return state.pending
        }
    }
}
