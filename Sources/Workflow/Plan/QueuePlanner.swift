/// Decides what a queue needs next from what is known, never from what was done before (level-triggered).
package enum QueuePlanner {
    package enum Decision: Sendable, Hashable {
        /// Create the data topics, then set the queue `running`.
        case prepare
        case launch(InstanceID)
        /// Tell the machine of this instance `cancel` and its live attempt `stop`.
        case cancel(InstanceID, reason: String)
        case skip(InstanceID, reason: String)
        /// Send `stop` to the live attempt of an instance that stays wanted: another follows when the queue goes on.
        case suspend(InstanceID)
        /// The broker lost what the instance reads: tell its machine `failed` and its live attempt `stop`.
        case loseData(InstanceID, reason: String)
        /// What did not finish runs again with new topics: the broker lost records.
        case runAgain(reason: String)
        case end(QueueStatus, reason: String?)
        /// Nothing to do before this time.
        case lookAgain(at: Int64)
    }

    package static func decide(_ queue: QueueSnapshot) -> [Decision] {
        switch queue.status {
        case .pending: return [.prepare]
        case .running: return decideRunning(queue)
        case .stopping: return decideStopping(queue)
        case .paused: return decidePaused(queue)
        case .finished, .failed, .stopped: return []
        }
    }

    private static func decideStopping(_ queue: QueueSnapshot) -> [Decision] {
        if queue.instances.values.allSatisfy(\.machine.state.isFinal) { return [.end(.stopped, reason: nil)] }
        return queue.plan.instances.compactMap { id in
            guard let instance = queue.instances[id], !instance.machine.state.isFinal,
                instance.machine.isWanted
            else { return nil }
            return .cancel(id, reason: "stop_requested")
        }
    }

    /// Nothing is launched, and what runs ends in good order.
    private static func decidePaused(_ queue: QueueSnapshot) -> [Decision] {
        queue.plan.instances.compactMap { id in
            // Shared connectors go on with what was written; nothing more comes while its producer is paused.
            guard let instance = queue.instances[id], instance.machine.state.hasLiveAttempt,
                !instance.isStopRequested, !queue.plan.isShared(id.step)
            else { return nil }
            return .suspend(id)
        }
    }

    private static func decideRunning(_ queue: QueueSnapshot) -> [Decision] {
        let layout = PlanLayout.of(queue.plan)
        let overdue = decideTimeouts(queue, layout)
        guard overdue.cancels.isEmpty else { return overdue.cancels }
        let losses = decideLosses(queue, layout)
        guard losses.isEmpty else { return losses }
        var launches = LaunchPlanner(queue, layout)
        launches.consider()
        var decisions = launches.decisions
        if decisions.isEmpty, queue.instances.values.allSatisfy(\.machine.state.isFinal) {
            return [QueueEnd(queue: queue, layout: layout).decision]
        }
        if let next = overdue.next { decisions.append(.lookAgain(at: queue.now + next)) }
        return decisions
    }

    private static func decideLosses(_ queue: QueueSnapshot, _ layout: PlanLayout) -> [Decision] {
        DataLoss.waiting(queue, layout).map { .loseData($0.0, reason: $0.reason) }
            + DataLoss.needless(queue, layout).map { .cancel($0, reason: EndReason.dataLost.rawValue) }
    }

    /// What took too long, and the milliseconds until the next limit is reached.
    private static func decideTimeouts(
        _ queue: QueueSnapshot, _ layout: PlanLayout
    ) -> (cancels: [Decision], next: Int64?) {
        var cancels: [Decision] = []
        var next: Int64?
        func isOver(_ elapsed: Int64?, _ limitSeconds: Int64?) -> Bool {
            guard let elapsed, let limitSeconds else { return false }
            let left = limitSeconds * 1_000 - elapsed
            if left > 0 { next = min(next ?? .max, left) }
            return left <= 0
        }
        let queueIsOver = isOver(queue.elapsed, queue.plan.timeoutSeconds)
        for step in queue.plan.steps where queueIsOver || step.timeoutSeconds != nil {
            for planned in layout.instances[step.id] ?? [] {
                guard let instance = queue.instances[planned.id], !instance.machine.state.isFinal,
                    instance.machine.isWanted
                else { continue }
                if queueIsOver {
                    cancels.append(.cancel(planned.id, reason: "queue_timed_out"))
                } else if isOver(instance.elapsed, step.timeoutSeconds) {
                    cancels.append(.cancel(planned.id, reason: "timed_out"))
                }
            }
        }
        return (cancels, next)
    }
}
