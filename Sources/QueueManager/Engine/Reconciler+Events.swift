import Workflow

/// Looks at queues in the transaction that applies their events, on behalf of a reconciler.
package struct LookAhead: Sendable {
    fileprivate let reconciler: Reconciler

    /// Tells which partitions of queue-events this replica reads now.
    func setPartitions(_ partitions: Set<Int32>) { reconciler.held.setPartitions(partitions) }

    /// Before the transaction for events of these queues; to be ended by ``EventTurn/finish(_:ended:)`` or
    /// ``EventTurn/abandon(ended:)``.
    ///
    /// - Parameter ending: those of which an attempt has said its last word.
    func begin(_ queues: Set<QueueID>, ending: Set<QueueID>) async -> EventTurn {
        let held = await reconciler.stepwise.ask(for: ending)
        return EventTurn(reconciler, queues, held + reconciler.held.take(queues))
    }
}

/// One transaction for events, as the reconciler takes part in it.
struct EventTurn: Sendable {
    private let reconciler: Reconciler
    private let held: [HandedIn]
    private let granted: Int
    let look: EventLook

    fileprivate init(
        _ reconciler: Reconciler, _ queues: Set<QueueID>, _ held: [HandedIn]
    ) {
        self.reconciler = reconciler
        self.held = held
        let (granted, number) = reconciler.state.reserveForCreation(queues.count)
        self.granted = granted
        let followUps = Dictionary(held.map { ($0.followUp.claim.queueID, $0.followUp) }) { _, newer in newer
        }
        let (looker, controlEnds) = (reconciler.looker, reconciler.state.controlEnds)
        look = EventLook(
            token: reconciler.token(number), claimsMax: granted, held: followUps.mapValues(\.claim),
            taken: Set(reconciler.state.claims.map(\.queueID)).subtracting(followUps.keys),
            followUp: { queue, facts in
                guard let followUp = followUps[queue.queueID] else { return }
                looker.apply(followUp, to: &queue, facts)
            },
            work: { queue, facts, claim in
                let followUp = followUps[queue.queueID].flatMap { $0.claim == claim ? $0 : nil }
                return looker.plan(&queue, facts, token: claim.token, followUp, controlEnds)
            })
    }

    /// The transaction is committed.
    ///
    /// - Parameter ended: queues of which an attempt has said its last word.
    func finish(_ report: ApplyReport, ended: Set<QueueID>) async {
        let byClaim = Dictionary(report.looked.map { ($0.claim, $0) }) { _, newer in newer }
        let new = report.looked.filter { $0.claim.token == look.token && !$0.plan.effects.isEmpty }
        if reconciler.state.settle(granted, new.map(\.claim)) { reconciler.wakeups.signalHere() }
        reconciler.held.noteLooked(report.looked.map(\.claim.queueID))
        // They saw what was applied with them.
        reconciler.looker.observe(report.looked, began: .now)
        reconciler.announce(report.looked)
        for one in held { one.resume(byClaim[one.followUp.claim].map { .looked($0) } ?? .left) }
        reconciler.stepwise.tell(ended.subtracting(report.looked.map(\.claim.queueID)))
        for result in new { await reconciler.handOver(result) }
    }

    /// The transaction has failed, or it is not known whether it has.
    ///
    /// - Parameter ended: queues of which an attempt has said its last word, perhaps for good: then nobody hears it again.
    func abandon(ended: Set<QueueID>) {
        if reconciler.state.settle(granted, []) { reconciler.wakeups.signalHere() }
        for one in held { one.resume(.left) }
        reconciler.stepwise.tell(ended)
    }
}

extension Reconciler {
    /// What the event reader looks with.
    package var lookAhead: LookAhead { LookAhead(reconciler: self) }

    /// For those who run no ``run()``: `begin` is called when launches begin to wait for their events, or events for
    /// their queue; then ``tickHeld()`` is to be called, some time apart, as long as it says so.
    package func setHeldTicker(_ begin: @escaping @Sendable () -> Void) {
        held.setOnFirst(begin)
        stepwise.setOnQuestion(begin)
    }

    /// Gives up what waited at the last tick already; see ``HeldFollowUps`` and ``StepwiseClaims``.
    ///
    /// - Returns: whether some still wait.
    @discardableResult
    package func tickHeld() -> Bool {
        held.tick()
        stepwise.tick()
        return isAnyHeld
    }

    var isAnyHeld: Bool { !held.isEmpty || stepwise.hasQuestions }

    /// Waits for no events any more.
    package func closeHeld() { held.close() }

    /// Whether the events of what was just launched are worth waiting for.
    func isHeld(_ look: LookResult, _ followUp: LookFollowUp) -> Bool {
        let isLaunched = followUp.operations.allSatisfy { if case .launched = $0 { true } else { false } }
        let isHeardOfSoon = look.plan.effects.allSatisfy { effect in
            guard case .launch(let id) = effect, let step = look.queue.plan.step(id.id.step) else {
                return false
            }
            return parts.launcher.isHeardOfSoon(for: step.target)
        }
        return isLaunched && isHeardOfSoon && followUp.operations.count == look.plan.effects.count
            && look.queue.instances.count <= ApplyReport.lookInstancesMax
            && !parts.policy.limits.concern(look.queue.plan)
            && held.hears(parts.broker.eventPartition(of: look.queue.queueID))
    }
}
