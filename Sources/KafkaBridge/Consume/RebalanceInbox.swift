internal import CRdkafka
import Synchronization

/// Rebalances that librdkafka told us of and that are not carried out yet.
///
/// Between telling and carrying out (the next poll) the consumer's owner finishes and commits what it read.
final class RebalanceInbox: Sendable {
    struct State: Sendable {
        var pending: [KafkaRebalance] = []
        /// While closing, changes are carried out at once: nobody polls any more.
        var isClosing = false
    }

    private let state = Mutex(State())

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
