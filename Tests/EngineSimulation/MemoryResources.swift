import QueueManager
import Workflow

/// Locks, semaphores and limits in memory.
struct MemoryResources {
    var limits = InstanceLimits()
    var semaphores: [ResourceName: Int] = [:]
    private(set) var holds: [QueueID: Set<ResourceHold>] = [:]
    private(set) var waits: [QueueID: Set<ResourceWait>] = [:]

    func permits(of resource: Resource) -> Int { limits.permits(of: resource, semaphores) }

    /// How many instances have each resource.
    var held: [Resource: Int] {
        Dictionary(holds.values.joined().map { ($0.resource, 1) }, uniquingKeysWith: +)
    }

    func table(for queue: QueueState) -> ResourceTable {
        let held = held
        let lines = ResourceTable.needed(by: queue, limits).map { resource in
            let waiters = waits.values.joined().filter { $0.hold.resource == resource }.map(\.place)
            return (
                resource,
                ResourceLine(permits: permits(of: resource), held: held[resource] ?? 0, waiters: waiters)
            )
        }
        return ResourceTable(
            limits: limits, lines: Dictionary(uniqueKeysWithValues: lines), holds: holds, waits: waits)
    }

    /// Writes what a look changed; what `isKept` stays held, as the planted bug has it.
    mutating func write(_ changes: ResourceTable.Changes, isKept: (QueueID, InstanceID) -> Bool) {
        for (queue, hold) in changes.given { holds[queue, default: []].insert(hold) }
        for (queue, hold) in changes.returned where !isKept(queue, hold.id) { holds[queue]?.remove(hold) }
        for (queue, hold) in changes.left {
            waits[queue] = waits[queue]?.filter { $0.hold != hold }
        }
        for (queue, wait) in changes.joined {
            waits[queue] = (waits[queue] ?? []).filter { $0.hold != wait.hold }.union([wait])
        }
    }

    /// Who may have its turn now.
    func next(for freed: Set<Resource>) -> Set<QueueID> {
        let held = held
        return freed.reduce(into: []) { next, resource in
            let line = waits.values.joined().filter { $0.hold.resource == resource }.map(\.place).sorted()
            let free = max(permits(of: resource) - (held[resource] ?? 0), 0)
            next.formUnion(line.prefix(free).map(\.queueID))
        }
    }
}
