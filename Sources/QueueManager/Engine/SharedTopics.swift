import KafkaBridge
import Workflow

/// The topics that stay and that queues with a shared transport write to (decision 25).
package struct SharedTopics: Sendable {
    package var candles: String
    package var trades: String
    /// Only used when a topic is created; never changed afterwards, since an instance's records lie in one.
    package var partitions: Int32
    /// How long records are kept: no connector may be away for longer.
    package var retention: Duration

    /// Dead letters are looked for as long as PostgreSQL keeps them.
    private static let deadLetterRetention = Duration.seconds(Int64(DeadLetter.keepDays) * 86_400)

    package init(
        candles: String = "market-candles", trades: String = "market-trades", partitions: Int32 = 12,
        retention: Duration = .seconds(7 * 86_400)
    ) {
        self.candles = candles
        self.trades = trades
        self.partitions = partitions
        self.retention = retention
    }

    /// Where a producing target writes.
    package func topic(of target: Target) -> String {
        target == .loaderAPITrades ? trades : candles
    }

    /// Where the records that a step stores lie; nil when it does not read a shared topic.
    func topic(readBy step: StepID, in plan: Plan) -> String? {
        guard plan.isShared(step), let input = plan.step(step)?.input else { return nil }
        return plan.step(input).map { topic(of: $0.target) }
    }

    /// Those that a plan needs, to be created where they are missing.
    func specifications(for plan: Plan) -> [TopicSpecification] {
        let topics = Set(plan.steps.filter(\.target.isProducer).map { topic(of: $0.target) })
        return topics.sorted().flatMap { topic in
            [
                TopicSpecification(
                    topic, partitions: Int(partitions), configuration: Self.configuration(retention)),
                TopicSpecification(
                    DerivedName.deadLetterTopic(dataTopic: topic), partitions: 1,
                    configuration: Self.configuration(Self.deadLetterRetention)),
            ]
        }
    }

    private static func configuration(_ retention: Duration) -> [String: String] {
        ["retention.ms": String(retention.milliseconds), "cleanup.policy": "delete"]
    }
}
