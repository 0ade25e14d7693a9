/// Goes through the units of a running queue and decides which to launch, skip or cancel, within the limit of
/// instances that may run at the same time.
///
/// A unit with a live attempt holds a place for each of its instances that is not over, also for one that
/// waits for its next attempt: what it needs to go on is never given away. A unit is begun as a whole or not
/// at all.
struct LaunchPlanner {
    private(set) var decisions: [QueuePlanner.Decision] = []
    private let queue: QueueSnapshot
    private let steps: [StepID: PlannedStep]
    private let gates: InstanceGates
    private let layout: PlanLayout
    private var placesLeft: Int

    init(_ queue: QueueSnapshot, _ layout: PlanLayout) {
        self.queue = queue
        steps = Dictionary(queue.plan.steps.map { ($0.id, $0) }) { first, _ in first }
        gates = InstanceGates(queue, layout)
        self.layout = layout
        placesLeft = .max
        if let parallelMax = queue.plan.parallelMax {
            placesLeft = parallelMax - placesHeld
        }
    }

    private var placesHeld: Int {
        guard layout.areAllAlone else { return layout.units.reduce(0) { $0 + places(of: $1) } }
        return queue.instances.values.count { $0.machine.state.hasLiveAttempt }
    }

    /// The places a unit holds.
    private func places(of unit: PlanLayout.Unit) -> Int {
        var (isLive, open) = (false, 0)
        for id in unit.members {
            guard let state = queue.instances[id]?.machine.state, !state.isFinal else { continue }
            open += 1
            if state.hasLiveAttempt { isLive = true }
        }
        return isLive ? open : 0
    }

    /// Goes through all units.
    mutating func consider() {
        if layout.areAllAlone { considerAlone() } else { for unit in layout.units { consider(unit) } }
    }

    mutating func consider(_ unit: PlanLayout.Unit) {
        if unit.members.count == 1, layout.independent.contains(unit.members[0].step) {
            return considerAlone(unit.members[0])
        }
        let open = unit.members.filter { queue.instances[$0].map { !$0.machine.state.isFinal } ?? false }
        guard !open.isEmpty else { return }
        let settled = open.compactMap { settle($0) }
        guard settled.isEmpty else {
            // The rest of the unit is looked at again without them.
            decisions += settled
            return
        }
        let waiting = open.filter { queue.instances[$0]?.machine.state == .waiting }
        // What should be skipped was settled above, unless it was begun before: then it goes on.
        guard !waiting.isEmpty, waiting.allSatisfy({ gate(of: $0) != .blocked }) else { return }
        if waiting.count < open.count {
            // Its places are kept.
            for id in waiting where isDue([id]) { decisions.append(.launch(id)) }
        } else if isDue(waiting) {
            if open.count <= placesLeft {
                placesLeft -= open.count
                decisions += waiting.map { .launch($0) }
            } else {
                // Smaller units that come later must not keep it out for ever.
                placesLeft = 0
            }
        }
    }

    /// The same for an instance that depends on no other.
    private mutating func considerAlone(_ id: InstanceID) {
        guard let instance = queue.instances[id], instance.machine.state == .waiting else { return }
        if instance.notBefore > queue.now {
            decisions.append(.lookAgain(at: instance.notBefore))
        } else if placesLeft > 0 {
            placesLeft -= 1
            decisions.append(.launch(id))
        }
    }

    /// The same for instances of which none depends on another. There may be thousands, and each look goes through
    /// them: only as many are looked up as it takes to find those to launch.
    private mutating func considerAlone() {
        var (dueCount, nextAt) = (0, Int64.max)
        for instance in queue.instances.values where instance.machine.state == .waiting {
            if instance.notBefore > queue.now {
                nextAt = min(nextAt, instance.notBefore)
            } else {
                dueCount += 1
            }
        }
        if nextAt < .max { decisions.append(.lookAgain(at: nextAt)) }
        let last = decisions.count + min(dueCount, placesLeft)
        for unit in layout.units {
            guard decisions.count < last else { break }
            guard let id = unit.members.first, let instance = queue.instances[id],
                instance.machine.state == .waiting, instance.notBefore <= queue.now
            else { continue }
            decisions.append(.launch(id))
        }
    }

    /// Whether all of these may have their next attempt now; if not, asks to look again when they may.
    private mutating func isDue(_ ids: [InstanceID]) -> Bool {
        let start = ids.map(notBefore).max() ?? 0
        if start <= queue.now { return true }
        decisions.append(.lookAgain(at: start))
        return false
    }

    private func notBefore(_ id: InstanceID) -> Int64 { queue.instances[id]?.notBefore ?? 0 }

    private func gate(of id: InstanceID) -> InstanceGates.Gate {
        guard !layout.independent.contains(id.step) else { return .open }
        return steps[id.step].map { gates.gate(of: id, $0) } ?? .open
    }

    /// Ends what can never succeed, or need not run.
    private func settle(_ id: InstanceID) -> QueuePlanner.Decision? {
        guard !layout.independent.contains(id.step), let machine = queue.instances[id]?.machine else {
            return nil
        }
        if machine.isWanted, let (other, reason) = lostPartner(of: id) {
            guard !machine.hasBegun else { return .cancel(id, reason: reason) }
            return .skip(id, reason: other.isSuccess ? SkipReason.conditionNotMet : reason)
        }
        guard machine.state == .waiting, !machine.hasBegun, case .skip(let reason) = gate(of: id) else {
            return nil
        }
        return .skip(id, reason: reason)
    }

    /// Who an instance cannot do its work without, and is over without having done its own.
    private func lostPartner(of id: InstanceID) -> (QueueSnapshot.Instance, reason: String)? {
        if let source = lostSource(of: id) { return (source, SkipReason.upstreamFailed) }
        return lostSink(of: id).map { ($0, SkipReason.downstreamFailed) }
    }

    /// Who was to store what a producer writes to a shared topic: connectors skip it from now on.
    private func lostSink(of id: InstanceID) -> QueueSnapshot.Instance? {
        guard let sink = queue.plan.sink(of: id).flatMap({ queue.instances[$0] }),
            sink.machine.state.isFinal, sink.machine.state != .finished
        else { return nil }
        return sink
    }

    /// A producer that ended without an end marker: it would leave its reader waiting for ever.
    private func lostSource(of id: InstanceID) -> QueueSnapshot.Instance? {
        guard let input = steps[id.step]?.input else { return nil }
        let sources = (layout.inputs[id] ?? []).compactMap {
            queue.instances[InstanceID(step: input, instance: $0)]
        }
        let lost = sources.filter { $0.machine.state.isFinal && $0.machine.state != .finished }
        return lost.first { !$0.isSuccess } ?? lost.first
    }
}
