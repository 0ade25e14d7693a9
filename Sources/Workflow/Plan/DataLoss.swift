/// When a broker has lost what it had confirmed: an unclean leader, a disk that was restored.
///
/// A reader that finds it out ends with ``EndReason/dataLost``. One that waits at the end of a topic whose end marker
/// was lost cannot know it; the engine can, see ``waiting(_:of:in:)``. Either way the queue runs again with new
/// topics, and what is stored already is a duplicate.
package enum DataLoss {
    /// Member of an instance's `extra`: its input was lost.
    package static let key = "data_lost"
    /// Member of a reader's `extra`: for how many seconds it has stood at the end of its input.
    package static let waitKey = "waits_at_end_seconds"
    /// The engine starts no run beyond this one by itself.
    package static let runsMax = 5

    /// A producer's records arrive long before this, also after an outage of the broker.
    static let waitSeconds: Int64 = 30

    /// - Returns: instances that wait for records which will not come, with why.
    static func waiting(_ queue: QueueSnapshot, _ layout: PlanLayout) -> [(InstanceID, reason: String)] {
        queue.plan.steps.flatMap { step -> [(InstanceID, reason: String)] in
            guard let input = step.input else { return [] }
            return (layout.instances[step.id] ?? []).compactMap { planned in
                guard let reader = queue.instances[planned.id], reader.machine.state == .running,
                    reader.machine.isWanted, case .integer(let waited) = reader.extra[waitKey],
                    waited >= waitSeconds
                else { return nil }
                let sources = planned.inputs.compactMap {
                    queue.instances[InstanceID(step: input, instance: $0)]
                }
                let written = sources.map(\.counts.recordsWritten).reduce(0, +)
                let read = reader.counts.recordsRead
                guard sources.allSatisfy({ isLongFinished($0, now: queue.now) }) else { return nil }
                return (
                    planned.id,
                    "\(input) wrote \(written) records and an end, the broker holds \(read) and no end"
                )
            }
        }
    }

    private static func isLongFinished(_ source: QueueSnapshot.Instance, now: Int64) -> Bool {
        guard source.machine.state == .finished, let finishedAt = source.finishedAt else { return false }
        return now - finishedAt >= waitSeconds * 1_000
    }

    /// Producers that still write what nobody will read.
    static func needless(_ queue: QueueSnapshot, _ layout: PlanLayout) -> [InstanceID] {
        queue.plan.steps.flatMap { step -> [InstanceID] in
            guard let input = step.input else { return [] }
            return (layout.instances[step.id] ?? []).flatMap { planned -> [InstanceID] in
                guard let reader = queue.instances[planned.id], reader.isDataLost else { return [] }
                return planned.inputs.map { InstanceID(step: input, instance: $0) }.filter {
                    queue.instances[$0].map { !$0.machine.state.isFinal && $0.machine.isWanted } ?? false
                }
            }
        }
    }
}

extension QueueSnapshot.Instance {
    var isDataLost: Bool { machine.state == .failed && extra[DataLoss.key] == .bool(true) }
}
