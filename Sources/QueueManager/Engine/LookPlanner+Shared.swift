import Workflow

/// Instances whose records shared connectors store: they have attempts, and nothing of them is launched.
extension LookPlanner {
    func isShared(_ attempt: AttemptState, in queue: QueueState) -> Bool {
        queue.plan.isShared(attempt.id.id.step)
    }

    /// Nobody has to be waited for at its end: connectors skip what they read of it from then on, and what they
    /// say of it changes nothing.
    func sharedOperations(for attempt: AttemptState, in queue: QueueState) -> [QueueOperation] {
        let id = attempt.id
        if attempt.stopRequestedAt != nil {
            return [.input(.interrupted(attempt: id.number), id.id, stop: nil)]
        }
        let topic = context.policy.shared.topic(readBy: id.id.step, in: queue.plan) ?? ""
        return [.jobWaits(id, why: "it waits for connectors of \(topic)")]
    }

    /// Whether an instance may be launched as far as its records' way goes: a producer names the attempt that is
    /// to store them, so that one must be there.
    func hasSink(_ id: InstanceID, in queue: QueueState, _ begun: Set<InstanceID>) -> Bool {
        guard let sink = queue.plan.sink(of: id) else { return true }
        guard let state = queue.instances[sink]?.machine.state else { return false }
        return state.hasLiveAttempt || state == .finished || begun.contains(sink)
    }

    /// In their order, but attempts that store before those that produce for them.
    static func sinksFirst(_ decisions: [QueuePlanner.Decision], _ plan: Plan) -> [QueuePlanner.Decision] {
        guard plan.transport == .shared else { return decisions }
        func isSink(_ decision: QueuePlanner.Decision) -> Bool {
            if case .launch(let id) = decision { plan.isShared(id.step) } else { false }
        }
        return decisions.filter(isSink) + decisions.filter { !isSink($0) }
    }
}
