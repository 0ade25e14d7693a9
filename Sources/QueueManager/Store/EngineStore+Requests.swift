import PostgresBridge
import Workflow

/// What a person may ask of a queue that runs.
package enum QueueRequest: String, Sendable, CaseIterable {
    /// End what runs in good order and launch nothing until `resume`.
    case pause
    case resume
    /// Finish the batches in hand, then end.
    case stop
    /// End at once, by force.
    case terminate

    func target(from status: QueueStatus, hasStarted: Bool) -> QueueStatus {
        switch self {
        case .pause: .paused
        case .resume: hasStarted ? .running : .pending
        case .stop, .terminate: .stopping
        }
    }

    /// Whether the queue is already where the request would bring it.
    func isMet(by status: QueueStatus) -> Bool {
        switch self {
        case .pause: status == .paused
        case .resume: status == .running || status == .pending
        case .stop, .terminate: status.isFinal
        }
    }
}

extension EngineStore {
    /// What became of a request.
    package enum RequestOutcome: Sendable, Hashable {
        case unknownQueue
        /// The queue was there already; nothing was changed.
        case met(QueueStatus)
        case accepted(QueueStatus)
        /// It cannot get there from where it is.
        case refused(QueueStatus)
    }

    /// Moves a queue as asked, under its row lock; the reconciler does the rest.
    package func request(_ request: QueueRequest, of id: QueueID, actor: String) async throws
        -> RequestOutcome
    {
        try await pool.withTransaction { transaction in
            let rows = try await transaction.execute(
                """
                SELECT status, started_at IS NOT NULL AS has_started, is_terminated
                FROM streamforge.queues WHERE queue_id = \(id.rawValue) FOR UPDATE
                """)
            guard let row = rows.first else { return .unknownQueue }
            let status = try row.word("status", as: QueueStatus.self)
            let isTerminated = try row["is_terminated", as: Bool.self]
            if request.isMet(by: status) { return .met(status) }
            let next = request.target(from: status, hasStarted: try row["has_started", as: Bool.self])
            // Asked for already, and under way.
            if status == next, request == .stop || isTerminated { return .accepted(status) }
            guard status == next || status.mayBecome(next) else { return .refused(status) }
            try await transaction.execute([
                """
                UPDATE streamforge.queues SET status = \(next.rawValue), look_at = now(),
                look_version = look_version + 1, is_terminated = \(request == .terminate),
                paused_ms = paused_ms + coalesce((extract(epoch FROM now() - paused_at) * 1000)::bigint, 0),
                paused_at = CASE WHEN \(next == .paused) THEN now() END
                WHERE queue_id = \(id.rawValue)
                """,
                Self.historyInsert(
                    id.rawValue, kind: "queue_\(request == .terminate ? "terminating" : next.rawValue)",
                    actor: actor),
            ])
            return .accepted(next)
        }
    }

    /// Tells the live attempt of an instance to end in good order; the instance stays wanted.
    package func suspend(_ id: InstanceID, claim: QueueClaim) async throws {
        try await withClaim(claim) { transaction in
            guard let (queue, instances) = try await Self.queue(claim.queueID, transaction),
                let row = instances.first(where: { $0.id == id }), row.machine.state.hasLiveAttempt,
                // Resumed meanwhile.
                queue.status == .paused
            else { return }
            try await transaction.execute(
                try Self.stopCommand(queue.queueID, id, attempt: row.machine.attempt, reason: "paused"))
        }
    }
}
