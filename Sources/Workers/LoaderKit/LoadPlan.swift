import BinanceFeed
import KafkaBridge

/// Where one attempt writes to, and as whom.
package struct LoadPlan: Sendable {
    /// The instance's own partition: nobody else writes to it.
    package var output: TopicPartition
    /// The same for all attempts of the instance, so that a later one fences the earlier.
    package var transactionalID: String
    package var attempt: Int
    /// Passed on in every record; nil leaves the header out.
    package var traceparent: String?
    /// nil with a topic of its own.
    package var shared: SharedRoute?

    package init(
        output: TopicPartition, transactionalID: String, attempt: Int, traceparent: String? = nil
    ) {
        self.output = output
        self.transactionalID = transactionalID
        self.attempt = attempt
        self.traceparent = traceparent
    }
}

/// Limits of a load.
package struct LoadLimits: Sendable {
    /// Pages that wait to be written; a fast exchange is then held back.
    package var pagesWaitingMax = 8
    /// One transaction takes at most so many pages, so that progress is seen and little is done again.
    package var pagesPerTransactionMax = 8
    /// Tries of one transaction after errors that allow another.
    package var transactionTriesMax = 5
    /// How long to ask for the outcome of each step of a commit before a new producer settles it. Less than a
    /// transaction may take (60 s): one that the broker ends itself looks like another producer's doing.
    package var commitWaitMax = Duration.seconds(50)
    /// Fresh starts, each with a new producer and a new look at the partition, after the producer broke.
    package var roundsMax = 3
    /// Reading the partition's end.
    package var tailWaitMax = Duration.seconds(60)
    /// Holes told one by one; further ones are only counted.
    package var holesMax = 100

    package init() {}
}

/// Why a load ended without its end marker.
package struct LoadError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The exchange did not give the records.
        case exchange
        /// The broker did not take them, or its answer is missing.
        case broker
        /// The partition holds what this load did not write: another queue's, or damaged records.
        case foreignRecords
    }

    package var code: Code
    /// In the other side's own words.
    package var detail: String
    /// Whether another attempt may succeed.
    package var isRetriable: Bool

    package init(_ code: Code, _ detail: String, isRetriable: Bool) {
        self.code = code
        self.detail = detail
        self.isRetriable = isRetriable
    }

    init(_ error: KafkaError) {
        let isHopeless: Bool =
            switch error.code {
            case .unauthenticated, .unauthorized, .invalidSetting, .recordTooLarge: true
            default: false
            }
        self.init(.broker, error.description, isRetriable: !isHopeless)
    }

    init(_ error: FeedError) {
        self.init(.exchange, error.description, isRetriable: error.isRetriable)
    }

    package var description: String { detail }
}
