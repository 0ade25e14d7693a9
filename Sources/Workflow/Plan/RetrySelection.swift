/// Which instances of a queue that is over run again: pure.
package struct RetrySelection: Sendable {
    private let plan: Plan
    private let layout: PlanLayout

    package init(_ plan: Plan) {
        self.plan = plan
        layout = PlanLayout(plan)
    }

    /// - Parameters:
    ///   - machines: all instances, each in a final state.
    ///   - step: everything from it on runs again, finished or not; nil: what did not finish.
    ///   - isFailed: the queue failed. Then, when all instances are finished, their counts disagreed, and both
    ///     sides of the stream edges run again.
    package func instances(
        of machines: [InstanceID: InstanceMachine], from step: StepID?, isFailed: Bool
    ) -> Set<InstanceID> {
        var chosen = Set(machines.filter { !isKept($0.value) }.keys)
        if let step {
            let later = stepsFrom(step)
            chosen.formUnion(machines.keys.filter { later.contains($0.step) })
        }
        let all = layout.instances.values.joined()
        if chosen.isEmpty, isFailed { chosen = Set(all.filter { !$0.inputs.isEmpty }.map(\.id)) }
        var count = -1
        while count != chosen.count {
            count = chosen.count
            for instance in all {
                if chosen.contains(instance.id) {
                    // The topic it read is gone, or ends without what it needs.
                    chosen.formUnion(inputs(of: instance))
                } else if machines[instance.id]?.state == .skipped,
                    hasEarlier(instance.id.step, among: chosen)
                {
                    // Its conditions may come out otherwise now.
                    chosen.insert(instance.id)
                }
            }
        }
        return chosen
    }

    private func isKept(_ machine: InstanceMachine) -> Bool {
        machine.state == .finished
            || (machine.state == .skipped && machine.reason == SkipReason.conditionNotMet)
    }

    private func inputs(of instance: PlannedInstance) -> [InstanceID] {
        guard let input = plan.step(instance.id.step)?.input else { return [] }
        return instance.inputs.map { InstanceID(step: input, instance: $0) }
    }

    private func hasEarlier(_ id: StepID, among chosen: Set<InstanceID>) -> Bool {
        guard let step = plan.step(id) else { return false }
        return chosen.contains { $0.step == step.input || step.earlierSteps.contains($0.step) }
    }

    /// A step and all that come after it by any edge.
    private func stepsFrom(_ first: StepID) -> Set<StepID> {
        var found: Set<StepID> = [first]
        var count = 0
        while count != found.count {
            count = found.count
            for step in plan.steps {
                let isLater = step.input.map(found.contains) ?? false
                if isLater || step.earlierSteps.contains(where: found.contains) { found.insert(step.id) }
            }
        }
        return found
    }
}
