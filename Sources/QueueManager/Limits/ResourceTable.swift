import Workflow

/// The resources of the queues that are looked at in one transaction: what they hold and wait for, and what the
/// looks change of it. Pure; the stores read it before and write its changes after.
package struct ResourceTable: Sendable {
    package let limits: InstanceLimits
    private var lines: [Resource: ResourceLine]
    private var holds: [QueueID: Set<ResourceHold>]
    private var waits: [QueueID: Set<ResourceWait>]
    package private(set) var changes = Changes()

    /// What the store has to write.
    package struct Changes: Sendable {
        package typealias Held = (queueID: QueueID, hold: ResourceHold)
        package var given: [Held] = []
        package var returned: [Held] = []
        package var joined: [(queueID: QueueID, wait: ResourceWait)] = []
        package var left: [Held] = []
        /// Whoever waits for these may have its turn.
        package var freed: Set<Resource> = []
    }

    /// - Parameters:
    ///   - lines: of what instances of these queues may need in this look.
    ///   - holds: of the queues that are looked at, as are `waits`.
    package init(
        limits: InstanceLimits, lines: [Resource: ResourceLine], holds: [QueueID: Set<ResourceHold>],
        waits: [QueueID: Set<ResourceWait>]
    ) {
        self.limits = limits
        self.lines = lines
        self.holds = holds
        self.waits = waits
    }

    /// What a look at this queue may ask for: what its instances need that wait for an attempt.
    package static func needed(by queue: QueueState, _ limits: InstanceLimits) -> Set<Resource> {
        guard queue.status == .pending || queue.status == .running, limits.concern(queue.plan) else {
            return []
        }
        let waiting = queue.instances.filter { $0.value.machine.state == .waiting }
        return Set(Set(waiting.keys.map(\.step)).compactMap(queue.plan.step).flatMap(limits.demands))
    }

    /// nil when nothing limits the queue.
    package func view(of queue: QueueState) -> ResourceView? {
        guard limits.concern(queue.plan) else { return nil }
        let since = (waits[queue.queueID] ?? []).map { ($0.hold.id, $0.since) }
        return ResourceView(
            queueID: queue.queueID, limits: limits, lines: lines, holds: holds[queue.queueID] ?? [],
            since: Dictionary(since) { min($0, $1) })
    }

    /// Takes over what a look came to.
    package mutating func settle(_ queue: QueueState, _ newWaits: [ResourceWait]) {
        guard limits.concern(queue.plan) else { return }
        let id = queue.queueID
        let stored = holds[id] ?? []
        let wanted = ResourceView.wanted(by: queue, stored: stored, limits, PlanLayout.of(queue.plan))
        for hold in wanted.subtracting(stored) {
            changes.given.append((id, hold))
            lines[hold.resource]?.held += 1
        }
        for hold in stored.subtracting(wanted) {
            changes.returned.append((id, hold))
            changes.freed.insert(hold.resource)
            lines[hold.resource]?.held -= 1
        }
        holds[id] = wanted
        settleWaits(of: id, newWaits, wanted)
    }

    private mutating func settleWaits(
        of id: QueueID, _ newWaits: [ResourceWait], _ wanted: Set<ResourceHold>
    ) {
        let (old, new) = (waits[id] ?? [], Set(newWaits))
        guard old != new else { return }
        let kept = Set(newWaits.map(\.hold))
        for wait in old where !kept.contains(wait.hold) {
            changes.left.append((id, wait.hold))
            if !wanted.contains(wait.hold) { changes.freed.insert(wait.hold.resource) }
        }
        changes.joined += new.subtracting(old).map { (id, $0) }
        for resource in Set((old.map(\.hold) + new.map(\.hold)).map(\.resource)) where lines[resource] != nil
        {
            lines[resource]?.waiters.removeAll { $0.queueID == id }
            lines[resource]?.waiters += new.filter { $0.hold.resource == resource }.map(\.place)
            lines[resource]?.waiters.sort()
        }
        waits[id] = new
    }
}
