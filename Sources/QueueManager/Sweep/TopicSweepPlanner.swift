import Workflow

/// What the store says of a queue that a topic may belong to.
package enum TopicOwner: Sendable {
    /// Its topics are needed.
    case open
    /// It is over and not cleaned up: its topics are the engine's to delete, when they were kept long
    /// enough.
    case ended
    /// Nothing of its runs, from the first to `runs`, is needed ever again: another run has topics of its own.
    case cleaned(Plan, runs: Int)
}

/// Decides which topics belong to nobody: pure.
///
/// A replica that stands still may create a topic long after its queue was cleaned up by another. The topics
/// must have been listed before the store was asked: then what a cleaned queue had is an orphan for good.
package struct TopicSweepPlanner: Sendable {
    package enum Verdict: Sendable, Hashable {
        /// No queue has topics of such a name.
        case foreign
        /// The name is a queue's, but of none that is stored here: it may be that of another installation, so
        /// it is only counted.
        case unknown
        case kept
        case orphan(of: QueueID)
    }

    package struct Orphan: Sendable, Hashable {
        package var topic: String
        package var queueID: QueueID

        package init(topic: String, queueID: QueueID) {
            self.topic = topic
            self.queueID = queueID
        }
    }

    /// Names of topics with the queues they may belong to, in a fixed order.
    private let topics: [(name: String, owners: [QueueID])]

    package init(topics: [String]) {
        self.topics = topics.sorted().map { topic in
            let owners = DerivedName.possibleOwners(ofTopic: topic)
            return (topic, owners.sorted { $0.rawValue < $1.rawValue })
        }
    }

    /// The queues that the store must be asked about, each once.
    package var queues: [QueueID] { Set(topics.flatMap(\.owners)).sorted { $0.rawValue < $1.rawValue } }

    /// - Parameter known: what the store says; it does not know the queues that are missing.
    /// - Returns: a verdict on each topic.
    package func verdicts(_ known: [QueueID: TopicOwner]) -> [(topic: String, verdict: Verdict)] {
        topics.map { ($0.name, verdict(on: $0.name, $0.owners, known)) }
    }

    private func verdict(
        on topic: String, _ owners: [QueueID], _ known: [QueueID: TopicOwner]
    ) -> Verdict {
        guard !owners.isEmpty else { return .foreign }
        var orphanOf: QueueID?
        for id in owners {
            switch known[id] {
            case nil: continue
            // Two queues may have a topic of this name: one that may need it decides.
            case .open, .ended: return .kept
            case .cleaned(let plan, let runs):
                if plan.topics(id, runs: runs).contains(topic) { orphanOf = id }
            }
        }
        return orphanOf.map { .orphan(of: $0) } ?? .unknown
    }
}
