import Workflow

extension Reconciler {
    /// Begins to carry out the effects of a queue that was claimed for this reconciler, and returns at once;
    /// false: it is too late for that.
    package typealias Carrier = @Sendable (LookResult) -> Bool

    /// Creates queues, all or nothing, and looks at the small ones in the same transaction: they begin without
    /// anybody having to find them.
    ///
    /// Returns when they are stored; what is to be done outside follows by itself. As many are claimed as there
    /// is room for; the others are due at once, for any replica. If we die, or the answer of the store gets lost,
    /// the claims run out.
    /// - Returns: one answer a queue, in order.
    package func create(_ queues: [NewQueue]) async throws -> [EngineStore.Creation] {
        let (granted, number) = state.reserveForCreation(queues.count)
        let report: CreationReport
        do {
            report = try await looker.create(
                queues, token: token(number), claimsMax: granted, state.controlEnds)
        } catch {
            if state.settle(granted, []) { wakeups.signalHere() }
            throw error
        }
        let claimed = report.looked.filter { !$0.plan.effects.isEmpty }
        let wasFull = state.settle(granted, claimed.map(\.claim))
        announce(report.looked)
        for result in claimed { await handOver(result) }
        if report.needsLook { wakeups.signal() } else if wasFull { wakeups.signalHere() }
        return report.answers
    }

    /// Tells who carries out what ``create(_:)`` claims; nil: nobody does, and it claims nothing.
    package func setCarrier(_ carrier: Carrier?) { state.setCarrier(carrier) }

    /// Carries out the effects of one claimed queue until a look has none.
    package func carryOut(_ claimed: LookResult) async {
        await carryOut(claimed) { try await looker.look(again: [$0], state.controlEnds).first ?? nil }
    }

    /// Gives a queue that was claimed to whoever carries out its effects.
    func handOver(_ claimed: LookResult) async {
        if state.carrier?(claimed) == true { return }
        // We stop: another replica takes it over at once; if this fails, when the claim has run out.
        _ = state.remove(claimed.claim)
        try? await parts.store.release(claimed.claim, lookAgain: 0)
    }
}
