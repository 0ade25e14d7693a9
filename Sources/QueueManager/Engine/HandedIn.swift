import Workflow

/// What came of the effects of a claimed queue, in the hands of somebody else than its holder: whoever is about to write
/// events of the queue. It must be resumed once; its holder waits for that.
struct HandedIn: Sendable {
    enum Outcome: Sendable {
        /// Written with the events, and looked at again.
        case looked(LookResult)
        /// Nobody has written it.
        case left
    }

    let followUp: LookFollowUp
    let waiter: CheckedContinuation<Outcome, Never>

    func resume(_ outcome: Outcome) { waiter.resume(returning: outcome) }
}
