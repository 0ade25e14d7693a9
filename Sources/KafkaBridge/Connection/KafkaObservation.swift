/// What a client tells about itself: logs and metrics are one `switch` over it.
///
/// Given to a closure on one of librdkafka's threads or ours: it must return at once and not call the client.
package enum KafkaObservation: Sendable {
    /// A line of librdkafka's log. `facility` is its short tag, e.g. `FAIL`.
    case log(level: LogLevel, facility: String, message: String)
    case statistics(KafkaStatistics)
    /// A connection or broker trouble; librdkafka keeps trying unless the error is fatal.
    case clientFailed(KafkaError)
    /// `records` of a batch for `topic` were not stored.
    case deliveryFailed(KafkaError, topic: String, records: Int)
    case rebalanced(KafkaRebalance)

    /// The levels of syslog that librdkafka uses.
    package enum LogLevel: Int32, Sendable {
        case emergency, alert, critical, error, warning, notice, info, debug
    }
}

/// A change of the partitions a group member holds.
package enum KafkaRebalance: Sendable, Equatable {
    case assigned([TopicPartition])
    /// Given up in order: what was read may still be committed before the next poll.
    case revoked([TopicPartition])
    /// Taken away: they may already be read by others, nothing of them can be committed.
    case lost([TopicPartition])
}

package typealias KafkaObserver = @Sendable (KafkaObservation) -> Void
