import Workflow

/// Deletes topics that belong to nobody, some at a time.
package struct TopicSweep: Sendable {
    package struct Report: Sendable, Equatable {
        package var deleted: [TopicSweepPlanner.Orphan] = []
        /// Topics that look like a queue's and are of no queue that is stored here.
        package var unknownCount = 0

        package init() {}
    }

    private let store: any SweepStorage
    private let broker: EngineBroker
    private let deletesMax: Int
    /// Queues the store is asked about at a time.
    private let queuesMax: Int

    package init(
        store: any SweepStorage, broker: EngineBroker, deletesMax: Int = 100, queuesMax: Int = 1_000
    ) {
        self.store = store
        self.broker = broker
        self.deletesMax = deletesMax
        self.queuesMax = queuesMax
    }

    /// Looks once at all topics; may run on several replicas at once. Orphans beyond the limit wait for the
    /// next.
    ///
    /// Letters in an orphan are not copied: its queue's were, before it was cleaned up, and whoever wrote one
    /// since had been given up.
    package func round() async throws -> Report {
        // In this order: a topic that is listed before its queue is seen as cleaned up is not a new run's.
        let planner = TopicSweepPlanner(topics: try await broker.topicNames())
        var known: [QueueID: TopicOwner] = [:]
        var waiting = planner.queues[...]
        while !waiting.isEmpty {
            known.merge(try await store.topicOwners(Array(waiting.prefix(queuesMax)))) { $1 }
            waiting = waiting.dropFirst(queuesMax)
        }
        var report = Report()
        for (topic, verdict) in planner.verdicts(known) {
            switch verdict {
            case .foreign, .kept: continue
            case .unknown: report.unknownCount += 1
            case .orphan(let id) where report.deleted.count < deletesMax:
                report.deleted.append(.init(topic: topic, queueID: id))
            case .orphan: continue
            }
        }
        if !report.deleted.isEmpty { try await broker.deleteTopics(report.deleted.map(\.topic)) }
        return report
    }
}
