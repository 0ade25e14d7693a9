import Workflow

/// How queues are looked at in the transaction that creates them.
package struct CreationLook: Sendable {
    /// Names the claims of those that have something to do outside; new each time.
    package var token: String
    /// As many of them may be claimed; further ones are not looked at.
    package var claimsMax: Int
    /// The partition of queue-events that a queue's events go to.
    package var eventPartition: @Sendable (QueueID) -> Int32
    package var work: @Sendable (inout QueueState, LookFacts, QueueClaim) -> LookPlan

    package init(
        token: String, claimsMax: Int, eventPartition: @escaping @Sendable (QueueID) -> Int32,
        work: @escaping @Sendable (inout QueueState, LookFacts, QueueClaim) -> LookPlan
    ) {
        self.token = token
        self.claimsMax = claimsMax
        self.eventPartition = eventPartition
        self.work = work
    }
}

/// What became of the creation of some queues.
package struct CreationReport: Sendable {
    /// One a request, in order.
    package var answers: [EngineStore.Creation] = []
    /// Queues that were looked at already, as written; those whose plans have effects are claimed.
    package private(set) var looked: [LookResult] = []
    /// Some queue is to be looked at, soon.
    package private(set) var needsLook = false
    private var claimed = 0

    package init() {}

    /// Looks at a queue that is being created, if it is small and may be claimed.
    ///
    /// What others compete for is left to the reconciler, which locks it.
    /// - Returns: nil when it was not looked at: then it is due as soon as it is written.
    package mutating func look(
        at queue: inout QueueState, _ look: CreationLook, limits: InstanceLimits,
        _ facts: (_ partition: Int32) -> LookFacts
    ) -> LookPlan? {
        guard claimed < look.claimsMax, queue.instances.count <= ApplyReport.lookInstancesMax,
            !limits.concern(queue.plan)
        else { return nil }
        let claim = QueueClaim(queueID: queue.queueID, token: look.token)
        let plan = look.work(&queue, facts(look.eventPartition(queue.queueID)), claim)
        looked.append(LookResult(claim: claim, queue: queue, plan: plan))
        if !plan.effects.isEmpty {
            claimed += 1
        } else if plan.isSoon {
            needsLook = true
        }
        return plan
    }

    /// A queue was created without a look.
    package mutating func noteUnlooked() { needsLook = true }
}

extension LookPlan {
    /// The next look is due before replicas look by themselves; later ones need nobody to wake them.
    package var isSoon: Bool { lookAgain.map { $0 < Reconciler.idleWaitMilliseconds } ?? false }
}
