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
    package func request(
        _ request: QueueRequest, of id: QueueID, actor: String
    ) async throws -> RequestOutcome {
        try await pool.withTransaction { transaction in
            let rows = try await transaction.execute(
                """
                SELECT \(raw: QueueState.columns), \(raw: milliseconds("clock_timestamp()", as: "now"))
                FROM streamforge.queues WHERE queue_id = \(id.rawValue) \(raw: QueueState.lock)
                """)
            guard let row = rows.first else { return .unknownQueue }
            var queue = try QueueState(row, plans)
            let context = OperationContext(
                now: try row["now", as: Int64.self], policy: EnginePolicy(), jitter: 0)
            let outcome = queue.answer(to: request, actor: actor, context)
            try await transaction.execute(try Self.save([(queue, queue.changes.needsLook ? .soon : .keep)]))
            return outcome
        }
    }
}

extension QueueState {
    /// Does what a person asks for, or says why not.
    package mutating func answer(
        to request: QueueRequest, actor: String, _ context: OperationContext
    ) -> EngineStore.RequestOutcome {
        if request.isMet(by: status) { return .met(status) }
        let next = request.target(from: status, hasStarted: startedAt != nil)
        // Asked for already, and under way.
        if status == next, request == .stop || isTerminated { return .accepted(status) }
        return apply(.request(request, actor: actor), context) ? .accepted(status) : .refused(status)
    }
}
