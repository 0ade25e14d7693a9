import Logging
import Metrics
import Workflow

/// Everything that schedules and backfills report; logs and metrics are two views of it.
package enum ScheduleObservation: Sendable {
    case scheduleChanged(ObjectName, change: String)
    case firingStarted(ObjectName, fireTime: Int64, QueueID)
    case firingRefused(ObjectName, fireTime: Int64, error: String)
    case firingDelayed(ObjectName, fireTime: Int64, error: String)
    case firingSkipped(ObjectName, fireTime: Int64, reason: String)
    case firingsMissed(ObjectName, last: Int64, count: Int, reason: String)
    case stopAsked(owner: ObjectName, QueueID)
    case backfillChanged(ObjectName, state: String)
    case shardStarted(ObjectName, shard: Int, attempt: Int, QueueID)
    case shardRefused(ObjectName, shard: Int, attempt: Int, error: String)
    case shardDelayed(ObjectName, shard: Int, attempt: Int, error: String)
    case claimLost(owner: String)
    case lookFailed(owner: String, error: String)
}

/// Turns observations into log lines and metrics.
package struct ScheduleObserver: Sendable {
    private let logger: Logger
    private let factory: any MetricsFactory

    package init(logger: Logger, factory: any MetricsFactory) {
        self.logger = logger
        self.factory = factory
    }

    package func callAsFunction(_ observation: ScheduleObservation) {
        switch observation {
        case .scheduleChanged(let name, let change):
            logger.info("Changed schedule", metadata: ["schedule": "\(name)", "change": "\(change)"])
        case .firingStarted(let name, let time, let queue):
            countFiring("started")
            logger.info("Fired schedule", metadata: fields(name, time, ["queue_id": "\(queue)"]))
        case .firingRefused(let name, let time, let error):
            countFiring("failed")
            logger.warning("Failed to fire schedule", metadata: fields(name, time, ["error": "\(error)"]))
        case .firingDelayed(let name, let time, let error):
            count("streamforge_schedule_retries_total")
            logger.warning("Put off firing", metadata: fields(name, time, ["error": "\(error)"]))
        case .firingSkipped(let name, let time, let reason):
            countFiring("skipped")
            logger.info("Skipped firing", metadata: fields(name, time, ["reason": "\(reason)"]))
        case .firingsMissed(let name, let last, let missed, let reason):
            countFiring("missed", by: missed)
            logger.warning(
                "Missed firings",
                metadata: fields(name, last, ["reason": "\(reason)", "count": "\(missed)"]))
        case .stopAsked(let owner, let queue):
            logger.info("Asked queue to stop", metadata: ["owner": "\(owner)", "queue_id": "\(queue)"])
        case .backfillChanged(let name, let state):
            count("streamforge_backfill_changes_total", [("state", state)])
            logger.info("Changed backfill", metadata: ["backfill": "\(name)", "state": "\(state)"])
        case .shardStarted(let name, let shard, let attempt, let queue):
            countShard("started")
            logger.info("Started shard", metadata: fields(name, shard, attempt, ["queue_id": "\(queue)"]))
        case .shardRefused(let name, let shard, let attempt, let error):
            countShard("refused")
            logger.warning(
                "Failed to start shard", metadata: fields(name, shard, attempt, ["error": "\(error)"]))
        case .shardDelayed(let name, let shard, let attempt, let error):
            countShard("delayed")
            logger.warning("Put off shard", metadata: fields(name, shard, attempt, ["error": "\(error)"]))
        case .claimLost(let owner):
            logger.debug("Lost claim", metadata: ["owner": "\(owner)"])
        case .lookFailed(let owner, let error):
            count("streamforge_schedule_failures_total")
            logger.warning("Failed to look", metadata: ["owner": "\(owner)", "error": "\(error)"])
        }
    }

    private func countFiring(_ outcome: String, by amount: Int = 1) {
        count("streamforge_schedule_firings_total", [("outcome", outcome)], by: amount)
    }

    private func countShard(_ outcome: String) {
        count("streamforge_backfill_starts_total", [("outcome", outcome)])
    }

    private func count(_ name: String, _ labels: [(String, String)] = [], by amount: Int = 1) {
        Counter(label: name, dimensions: labels, factory: factory).increment(by: amount)
    }

    private func fields(_ name: ObjectName, _ time: Int64, _ more: Logger.Metadata) -> Logger.Metadata {
        more.merging(["schedule": "\(name)", "fire_time": "\(UTCText.seconds(time))"]) { first, _ in first }
    }

    private func fields(
        _ name: ObjectName, _ shard: Int, _ attempt: Int, _ more: Logger.Metadata
    ) -> Logger.Metadata {
        more.merging(["backfill": "\(name)", "shard": "\(shard)", "attempt": "\(attempt)"]) { first, _ in
            first
        }
    }
}
