import Synchronization
import Workflow

/// The instances of large queues as they were read last: of these a look reads only what changed since.
///
/// What is kept never becomes wrong, only old: each change has a higher number than all before it of its queue
/// (``InstanceVersionSchema``), and whoever reads under the queue's row lock sees them all.
final class InstanceCache: Sendable {
    struct Entry: Sendable {
        let plan: Plan
        let asOf: Int64
        let instances: [InstanceID: InstanceState]
        let version: Int64
    }

    private struct State {
        var entries: [QueueID: Entry] = [:]
        var instances = 0
    }

    /// Fewer are read as fast as they are looked up.
    private static let instancesMin = ApplyReport.lookInstancesMax + 1
    /// Of all entries, some 30 MB; beyond it they are forgotten together.
    private let instancesMax: Int
    private let state = Mutex(State())

    init(instancesMax: Int = 50_000) {
        self.instancesMax = instancesMax
    }

    func entries(of queues: some Sequence<QueueID>) -> [QueueID: Entry] {
        state.withLock { state in
            Dictionary(queues.compactMap { id in state.entries[id].map { (id, $0) } }) { first, _ in first }
        }
    }

    /// - Parameter queue: as it was read under its row lock, with all its instances.
    func note(_ queue: QueueState) {
        guard queue.instances.count >= Self.instancesMin else { return }
        let entry = Entry(
            plan: queue.plan, asOf: queue.asOf, instances: queue.instances, version: queue.instancesVersion)
        state.withLock { state in
            // Somebody else may have read it meanwhile.
            if let old = state.entries[queue.queueID], old.version > entry.version { return }
            if let old = state.entries.removeValue(forKey: queue.queueID) {
                state.instances -= old.instances.count
            }
            // Nothing is launched there any more.
            if queue.status.isFinal { return }
            if state.instances + entry.instances.count > instancesMax { state = State() }
            guard entry.instances.count <= instancesMax else { return }
            state.entries[queue.queueID] = entry
            state.instances += entry.instances.count
        }
    }
}

extension QueueState {
    /// Takes over the instances of an earlier reading.
    mutating func recall(_ entry: InstanceCache.Entry?) {
        guard let entry, entry.asOf == asOf else { return }
        instances = entry.instances
        instancesVersion = entry.version
    }
}
