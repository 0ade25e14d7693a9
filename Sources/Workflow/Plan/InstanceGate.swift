/// Whether the steps before an instance let it begin. Built once for a look at a queue.
struct InstanceGates {
    enum Gate: Hashable {
        case open, blocked
        /// It can never begin.
        case skip(reason: String)
    }

    private let queue: QueueSnapshot
    private let layout: PlanLayout
    private var whole: [StepID: Outcome] = [:]

    /// How far something is that others wait for.
    private struct Outcome {
        var isOver: Bool
        /// Some of it ended otherwise than well; known before the rest is over.
        var hasFailed: Bool
        var result: StepResult

        init(_ instances: [QueueSnapshot.Instance]) {
            isOver = instances.allSatisfy(\.machine.state.isFinal)
            hasFailed = instances.contains { $0.machine.state.isFinal && !$0.isSuccess }
            // Of one instance every member of `extra` counts, of several only what has a sum.
            result = instances.count == 1 ? instances[0].result : StepResult(sumOf: instances.map(\.result))
        }
    }

    init(_ queue: QueueSnapshot, _ layout: PlanLayout) {
        self.queue = queue
        self.layout = layout
        for id in Set(queue.plan.steps.flatMap(\.earlierSteps)) {
            let instances = layout.instances[id] ?? []
            whole[id] = Outcome(instances.compactMap { queue.instances[$0.id] })
        }
    }

    /// Failures go before conditions, and conditions are judged only when all they depend on is over: what
    /// comes out does not depend on which step ended first.
    func gate(of instance: InstanceID, _ step: PlannedStep) -> Gate {
        var isBlocked = false
        for id in step.earlierSteps {
            guard let outcome = orderOutcome(of: id, for: instance, step) else { continue }
            // Whoever asks for a status wants to run after a failure too.
            let takesFailure = step.when.contains { $0.step == id && $0.field == .status }
            if outcome.hasFailed, !takesFailure { return .skip(reason: SkipReason.didNotFinish(id)) }
            if !outcome.isOver { isBlocked = true }
        }
        if isBlocked { return .blocked }
        let isMet = step.when.allSatisfy { condition in
            guard let outcome = comparedOutcome(of: condition.step, for: instance, step) else { return false }
            return condition.isMet(by: outcome.result)
        }
        return isMet ? .open : .skip(reason: SkipReason.conditionNotMet)
    }

    /// `after` waits for a whole step; a condition alone for what it compares with.
    private func orderOutcome(of id: StepID, for instance: InstanceID, _ step: PlannedStep) -> Outcome? {
        step.after.contains(id) ? whole[id] : comparedOutcome(of: id, for: instance, step)
    }

    /// The instance of the same name where both steps are fanned out alike, else the sum of all.
    private func comparedOutcome(of id: StepID, for instance: InstanceID, _ step: PlannedStep) -> Outcome? {
        guard queue.plan.step(id)?.fanOut == step.fanOut else { return whole[id] }
        return queue.instances[InstanceID(step: id, instance: instance.instance)].map { Outcome([$0]) }
    }
}
