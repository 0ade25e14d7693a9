import Logging
import Metrics
import Workflow

/// Everything the engine reports; logs and metrics are two views of it.
package enum EngineObservation: Sendable {
    case queueCreated(QueueID)
    case queueEnded(QueueID, QueueStatus, reason: String?)
    /// Final events of a queue were read, at this time; they are applied next.
    case endsRead(QueueID, count: Int, at: ContinuousClock.Instant)
    /// They are applied, or could not be.
    case endsApplied(QueueID, isDone: Bool)
    /// A look at a queue is over; what it launches follows.
    case looked(QueueID, began: ContinuousClock.Instant, launches: Int)
    /// A job is asked for now.
    case launchBegun(QueueID)
    case attemptLaunched(QueueID, InstanceID, attempt: Int)
    case attemptLost(QueueID, InstanceID, attempt: Int, reason: String)
    case launchFailed(QueueID, InstanceID, attempt: Int, error: String)
    case lookFailed(QueueID, error: String)
    case claimLost(QueueID)
    case eventsApplied(count: Int, skipped: Int)
    case eventUnreadable(partition: Int32, offset: Int64, error: String)
    case partitionsOwned([Int32])
    case partitionLost(Int32)
    case commandsSent(count: Int)
    case loopFailed(loop: String, error: String)
    case requestAnswered(method: String, route: String, status: Int, seconds: Double)
}

/// Turns observations into log lines and metrics.
package struct EngineObserver: Sendable {
    private let logger: Logger
    private let factory: any MetricsFactory
    private let followOn = FollowOnClock()

    package init(logger: Logger, factory: any MetricsFactory) {
        self.logger = logger
        self.factory = factory
        // Their alerts compare with a moment before: what is counted first must have been 0.
        for status in QueueStatus.allCases where status.isFinal {
            count("streamforge_queues_ended_total", [("status", status.rawValue)], by: 0)
        }
    }

    package func callAsFunction(_ observation: EngineObservation) {
        switch observation {
        case .queueCreated(let id):
            count("streamforge_queues_created_total")
            logger.info("Created queue", metadata: ["queue_id": "\(id)"])
        case .endsRead(let id, let count, let time): followOn.read(id, count: count, at: time)
        case .endsApplied(let id, true): followOn.applied(id, at: .now)
        case .endsApplied(let id, false): followOn.forget(id)
        case .looked(let id, let time, let launches): followOn.looked(id, began: time, launches: launches)
        case .launchBegun(let id):
            guard let waited = followOn.requested(id, at: .now) else { return }
            Timer(label: "streamforge_follow_on_seconds", factory: factory).record(duration: waited)
        case .queueEnded(let id, let status, let reason):
            followOn.forget(id)
            count("streamforge_queues_ended_total", [("status", status.rawValue)])
            logger.info(
                "Ended queue",
                metadata: ["queue_id": "\(id)", "status": "\(status)", "reason": "\(reason ?? "")"])
        case .attemptLaunched(let queue, let id, let attempt):
            count("streamforge_attempts_launched_total")
            logger.info("Launched attempt", metadata: fields(queue, id, attempt))
        case .attemptLost(let queue, let id, let attempt, let reason):
            count("streamforge_attempts_lost_total")
            logger.warning("Lost attempt", metadata: fields(queue, id, attempt, ["reason": "\(reason)"]))
        case .launchFailed(let queue, let id, let attempt, let error):
            count("streamforge_launch_failures_total")
            logger.error(
                "Failed to launch attempt", metadata: fields(queue, id, attempt, ["error": "\(error)"]))
        case .lookFailed(let queue, let error):
            count("streamforge_reconcile_failures_total")
            logger.warning(
                "Failed to reconcile queue", metadata: ["queue_id": "\(queue)", "error": "\(error)"])
        case .claimLost(let queue):
            logger.debug("Lost claim of queue", metadata: ["queue_id": "\(queue)"])
        case .eventsApplied(let applied, let skipped):
            count("streamforge_events_applied_total", by: applied)
            count("streamforge_events_skipped_total", by: skipped)
        case .eventUnreadable(let partition, let offset, let error):
            count("streamforge_events_unreadable_total")
            logger.warning(
                "Skipped unreadable event",
                metadata: ["partition": "\(partition)", "offset": "\(offset)", "error": "\(error)"])
        case .partitionsOwned(let partitions):
            logger.info("Took event partitions", metadata: ["partitions": "\(partitions)"])
        case .partitionLost(let partition):
            logger.warning("Lost event partition", metadata: ["partition": "\(partition)"])
        case .commandsSent(let sent):
            count("streamforge_commands_sent_total", by: sent)
        case .loopFailed(let loop, let error):
            count("streamforge_loop_failures_total", [("loop", loop)])
            logger.error("Failed in loop", metadata: ["loop": "\(loop)", "error": "\(error)"])
        case .requestAnswered(let method, let route, let status, let seconds):
            count("http_requests_total", [("method", method), ("route", route), ("status", String(status))])
            Timer(label: "http_request_duration_seconds", dimensions: [("route", route)], factory: factory)
                .recordSeconds(seconds)
        }
    }

    /// What a look changed, from the lines it added to the queue's history.
    func callAsFunction(_ queue: QueueState) {
        for entry in queue.changes.history {
            switch (entry.kind, entry.id, entry.attempt) {
            case ("queue_\(queue.status.rawValue)", nil, nil) where queue.status.isFinal:
                self(.queueEnded(queue.queueID, queue.status, reason: queue.reason))
            case (_, let id?, let attempt?) where entry.detail["lost"] != nil:
                let reason = entry.detail["reason"]?.string ?? ""
                self(.attemptLost(queue.queueID, id, attempt: attempt, reason: reason))
            default: break
            }
        }
    }

    private func count(_ name: String, _ labels: [(String, String)] = [], by amount: Int = 1) {
        Counter(label: name, dimensions: labels, factory: factory).increment(by: amount)
    }

    private func fields(
        _ queue: QueueID, _ id: InstanceID, _ attempt: Int, _ more: Logger.Metadata = [:]
    ) -> Logger.Metadata {
        [
            "queue_id": "\(queue)", "step_id": "\(id.step)", "instance": "\(id.instance)",
            "attempt": "\(attempt)",
        ].merging(more) { first, _ in first }
    }
}
