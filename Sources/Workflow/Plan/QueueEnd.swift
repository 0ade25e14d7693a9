/// How a queue ends when all of its instances are over.
struct QueueEnd {
    let queue: QueueSnapshot
    let layout: PlanLayout

    /// Finished only when every instance is, or was skipped by its conditions, and the counts of both sides
    /// of each stream edge agree.
    var decision: QueuePlanner.Decision {
        guard let reason = failure ?? disagreement else { return .end(.finished, reason: nil) }
        let isDataLost = queue.instances.values.contains(where: \.isDataLost)
        return isDataLost && queue.run < DataLoss.runsMax
            ? .runAgain(reason: reason) : .end(.failed, reason: reason)
    }

    /// What failed by itself is told before what was skipped for it.
    private var failure: String? {
        let ids = queue.plan.steps.flatMap { (layout.instances[$0.id] ?? []).map(\.id) }
        let unfinished = ids.filter { queue.instances[$0].map { !$0.isSuccess } ?? true }
        let cause = [InstanceMachine.State.failed, .interrupted].lazy.compactMap { state in
            unfinished.first { queue.instances[$0]?.machine.state == state }
        }.first
        guard let first = cause ?? unfinished.first else { return nil }
        let why = queue.instances[first]?.machine.reason ?? "unknown"
        let others = unfinished.count > 1 ? " and \(unfinished.count - 1) more" : ""
        return "\(first)\(others) did not finish: \(why)"
    }

    private var disagreement: String? {
        for step in queue.plan.steps {
            guard let input = step.input else { continue }
            for instance in layout.instances[step.id] ?? [] {
                guard let reader = queue.instances[instance.id], reader.machine.state == .finished else {
                    continue
                }
                let written = instance.inputs.map {
                    queue.instances[InstanceID(step: input, instance: $0)]?.counts.recordsWritten ?? -1
                }.reduce(0, &+)
                let read = reader.counts.recordsRead
                if written != read {
                    return "counts disagree for \(instance.name): \(input) wrote \(written) records, "
                        + "\(step.id) read \(read)"
                }
            }
        }
        return nil
    }
}
