import Logging
import Metrics
import ServiceLifecycle
import Workflow

/// What the work beside the engine reports: letters, retention, sweeps, projection.
package enum UpkeepObservation: Sendable {
    /// `foreign`: records that are no letters.
    case lettersCopied(count: Int, foreign: Int)
    case letterSettled(QueueID, Int64, DeadLetter.State)
    case letterRefused(QueueID, Int64)
    case rowsDeleted(RetainedKind, count: Int)
    case queuesArchived(count: Int)
    case queuesProjected(count: Int)
    case topicSwept(TopicSweepPlanner.Orphan)
    case unknownTopicsCounted(Int)
    case jobSwept(JobKey)
    case modelRemoved(ModelPlace)
    case rebuildBegan
    case rebuildEnded
    case jobFailed(job: String, error: String)
}

/// What retention deletes.
package enum RetainedKind: String, Sendable, CaseIterable {
    case queues, instances, attempts, events
    case idempotencyKeys = "idempotency_keys"
    case deadLetters = "dead_letters"
}

/// Turns observations into log lines and metrics.
package struct UpkeepObserver: Sendable {
    private let logger: Logger
    private let factory: any MetricsFactory

    package init(logger: Logger, factory: any MetricsFactory) {
        self.logger = logger
        self.factory = factory
        // Its alert compares with a moment before: what is counted first must have been 0.
        count("streamforge_dead_letters_copied_total", by: 0)
    }

    package func callAsFunction(_ observation: UpkeepObservation) {
        switch observation {
        case .lettersCopied(let copied, let foreign):
            count("streamforge_dead_letters_copied_total", by: copied)
            count("streamforge_dead_letters_foreign_total", by: foreign)
        case .letterSettled(let queue, let letter, let state):
            count("streamforge_dead_letters_settled_total", [("state", state.rawValue)])
            logger.info(
                "Settled dead letter",
                metadata: ["queue_id": "\(queue)", "letter": "\(letter)", "state": "\(state)"])
        case .letterRefused(let queue, let letter):
            count("streamforge_dead_letters_refused_total")
            logger.info(
                "Refused dead letter again", metadata: ["queue_id": "\(queue)", "letter": "\(letter)"])
        case .rowsDeleted(let kind, let rows):
            count("streamforge_retention_rows_deleted_total", [("table", kind.rawValue)], by: rows)
        case .queuesArchived(let queues):
            count("streamforge_retention_queues_archived_total", by: queues)
        case .queuesProjected(let queues):
            count("streamforge_projection_queues_total", by: queues)
        case .topicSwept(let orphan):
            count("streamforge_topics_swept_total")
            logger.warning(
                "Swept topic", metadata: ["topic": "\(orphan.topic)", "queue_id": "\(orphan.queueID)"])
        case .unknownTopicsCounted(let topics):
            Gauge(label: "streamforge_topics_unknown", factory: factory).record(topics)
        case .jobSwept(let owner):
            count("streamforge_jobs_swept_total")
            logger.warning(
                "Swept job",
                metadata: [
                    "queue_id": "\(owner.queueID)", "step_id": "\(owner.id.step)",
                    "instance": "\(owner.id.instance)", "attempt": "\(owner.attempt)",
                ])
        case .modelRemoved(let place):
            count("streamforge_models_removed_total")
            logger.info("Removed model", metadata: ["place": "\(place)"])
        case .rebuildBegan: logger.info("Began to rebuild projection")
        case .rebuildEnded: logger.info("Rebuilt projection")
        case .jobFailed(let job, let error):
            count("streamforge_upkeep_failures_total", [("job", job)])
            logger.warning("Failed in upkeep", metadata: ["job": "\(job)", "error": "\(error)"])
        }
    }

    private func count(_ name: String, _ labels: [(String, String)] = [], by amount: Int = 1) {
        Counter(label: name, dimensions: labels, factory: factory).increment(by: amount)
    }
}

/// Runs a job at once and then again and again until graceful shutdown; a failure is reported.
func upkeepLoop(
    _ job: String, every interval: Duration, observe: UpkeepObserver,
    _ body: @escaping @Sendable () async throws -> Void
) async {
    await cancelWhenGracefulShutdown {
        while !Task.isCancelled {
            do {
                try await body()
            } catch {
                if Task.isCancelled { return }
                observe(.jobFailed(job: job, error: "\(error)"))
            }
            // Cancelled: the loop ends at its head.
            try? await Task.sleep(for: interval)
        }
    }
}
