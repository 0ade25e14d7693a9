import Workflow

/// How queues are looked at in the transaction that applies their events.
package struct EventLook: Sendable {
    /// Names the claims of queues that nobody held and that have something to do outside; new each time.
    package var token: String
    /// As many of those may be claimed; what else would leave something to do outside is not looked at.
    package var claimsMax: Int
    /// Claims whose holder handed them in with what came of their effects.
    package var held: [QueueID: QueueClaim]
    /// Queues that this replica holds and that are not handed in: nobody looks at them here. A hint that spares
    /// reading them; the claims that are stored decide.
    package var taken: Set<QueueID>
    /// Applies what came of the effects of a queue that is held; before its events.
    package var followUp: @Sendable (inout QueueState, LookFacts) -> Void
    package var work: @Sendable (inout QueueState, LookFacts, QueueClaim) -> LookPlan

    package init(
        token: String, claimsMax: Int, held: [QueueID: QueueClaim] = [:], taken: Set<QueueID> = [],
        followUp: @escaping @Sendable (inout QueueState, LookFacts) -> Void = { _, _ in },
        work: @escaping @Sendable (inout QueueState, LookFacts, QueueClaim) -> LookPlan
    ) {
        self.token = token
        self.claimsMax = claimsMax
        self.held = held
        self.taken = taken
        self.followUp = followUp
        self.work = work
    }
}

/// What became of the events of some batches.
package struct ApplyReport: Sendable {
    /// Queues of at most this many instances are looked at together with all their events, larger ones together
    /// with those that end attempts.
    package static let lookInstancesMax = 16
    /// Of all large queues that are looked at in one transaction: events must not wait for long.
    package static let instancesMax = Plan.instancesMax

    package var applied = 0
    /// Repeats, and events of queues or attempts that are not known.
    package var skipped = 0
    /// Some queue is to be looked at, soon.
    package var needsLook = false
    /// Queues that were looked at already, as written; those whose plans keep the claim are held.
    package private(set) var looked: [LookResult] = []
    private var claimed = 0

    package init() {}

    /// Looks at a queue that events have asked to be looked at, or whose holder handed it in.
    ///
    /// - Parameter held: the claim it was handed in with; nil when nobody holds the queue.
    /// - Returns: nil when it was not looked at.
    package mutating func look(
        at queue: inout QueueState, _ look: EventLook, held: QueueClaim?, _ facts: LookFacts
    ) -> LookPlan? {
        guard held != nil || queue.changes.needsLook else { return nil }
        let claim = held ?? QueueClaim(queueID: queue.queueID, token: look.token)
        var after = queue
        let plan = look.work(&after, facts, claim)
        if held == nil, !plan.effects.isEmpty {
            guard claimed < look.claimsMax else { return nil }
            claimed += 1
        }
        queue = after
        looked.append(LookResult(claim: claim, queue: queue, plan: plan))
        if !plan.keepsClaim, plan.isSoon { needsLook = true }
        return plan
    }
}
