import KafkaBridge

/// How far this worker has taken its partitions, to be committed again while nothing comes.
///
/// A broker that loses its last moments (an unclean leader, a restart of one that saves now and then) may
/// lose an offer and the commit that took it. The next offer then gets an offset that the worker has passed:
/// it reads nothing, and to the engine the offer waits for a taker for ever. Committed again, the position
/// tells that it was passed; its lease runs out, and the next attempt is offered behind it.
struct TakenPositions {
    /// An offer that nobody will read waits this long, and then its lease.
    static let commitAgainAfter = Duration.seconds(10)

    private var positions: [TopicPartition: Int64] = [:]
    private var since: ContinuousClock.Instant?

    mutating func committed(_ taken: [TopicPartition: Int64], at now: ContinuousClock.Instant) {
        positions.merge(taken) { $1 }
        since = now
    }

    /// Forgets what belongs to others now.
    mutating func drop(_ partitions: [TopicPartition]) {
        for partition in partitions { positions[partition] = nil }
    }

    /// What is to be committed again now; empty when it is too soon or nothing was taken.
    mutating func due(at now: ContinuousClock.Instant) -> [TopicPartition: Int64] {
        guard !positions.isEmpty, let since, now - since >= Self.commitAgainAfter else { return [:] }
        self.since = now
        return positions
    }
}
