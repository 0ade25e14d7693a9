import Workflow

/// A place in the feed over all queues: after this event.
///
/// Events are in the order of their transactions' numbers, which is not the order of commit: a reader sees
/// only what lies below the oldest transaction that still runs, and so never passes one that commits late.
package struct HistoryCursor: Sendable, Hashable {
    /// The transaction's number in PostgreSQL (`xid8`).
    package var transaction: UInt64
    /// Empty: before the first queue.
    package var queueID: String
    package var number: Int64

    package static let beginning = HistoryCursor(transaction: 0, queueID: "", number: 0)

    package init(transaction: UInt64, queueID: String, number: Int64) {
        self.transaction = transaction
        self.queueID = queueID
        self.number = number
    }

    /// `<transaction>.<queue id>.<number>`.
    package init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let transaction = UInt64(parts[0]), let number = Int64(parts[2]), number >= 0,
            parts[1].isEmpty || QueueID(String(parts[1])) != nil
        else { return nil }
        self.init(transaction: transaction, queueID: String(parts[1]), number: number)
    }

    package var text: String { "\(transaction).\(queueID).\(number)" }
}
