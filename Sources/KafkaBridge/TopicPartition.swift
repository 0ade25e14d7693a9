/// One partition of a topic.
package struct TopicPartition: Sendable, Hashable, CustomStringConvertible {
    package var topic: String
    package var partition: Int32

    package init(_ topic: String, _ partition: Int32) {
        self.topic = topic
        self.partition = partition
    }

    package var description: String { "\(topic)/\(partition)" }
}

/// Where reading a partition begins.
package enum KafkaPosition: Sendable, Hashable {
    case beginning
    /// Only what is produced from now on.
    case end
    case offset(Int64)
    /// The first record whose timestamp is not before this many milliseconds since 1970; the end if there is
    /// none.
    case time(milliseconds: Int64)
    /// Where the group committed last; by ``OffsetReset`` where it never did.
    case committed
}

/// What records a reader sees.
package enum KafkaIsolation: String, Sendable {
    /// Also records of open and aborted transactions.
    case readUncommitted = "read_uncommitted"
    /// Up to the first open transaction, without aborted records.
    case readCommitted = "read_committed"
}

/// Where to go on when the position is not in the partition (any more).
package enum OffsetReset: String, Sendable {
    case earliest
    case latest
    /// Report `offsetOutOfRange` and stay.
    case fail = "error"
}
