import QueueManager
import Workflow

/// What must hold, whatever happened.
///
/// `@unchecked`: lives on the simulation's one thread.
final class Judge: @unchecked Sendable {
    private let world: World
    private let sink: SimulatedSink
    private let leaseMilliseconds: Int64
    private let cluster: SimulatedCluster
    private var finals: [QueueID: QueueStatus] = [:]
    private var numbers: [QueueID: Int64] = [:]

    private var gone: Set<SimulatedSink.AttemptKey> = []

    init(world: World, sink: SimulatedSink, cluster: SimulatedCluster, leaseMilliseconds: Int64) {
        self.world = world
        self.sink = sink
        self.cluster = cluster
        self.leaseMilliseconds = leaseMilliseconds
    }

    /// After every transaction that changed a queue.
    func check(_ queue: QueueState) {
        for entry in queue.changes.history {
            let detail = entry.detail["reason"]?.string ?? ""
            world.tell(
                "\(queue.queueID) \(entry.number) \(entry.kind) \(entry.id?.description ?? "")/\(entry.attempt ?? 0) \(detail)"
            )
            if entry.number != numbers[queue.queueID, default: 0] + 1 {
                world.violate(
                    "history of \(queue.queueID) went from \(numbers[queue.queueID] ?? 0) to \(entry.number)")
            }
            numbers[queue.queueID] = entry.number
            if entry.kind == "queue_retried" { checkRetry(queue) }
            if entry.detail["lost"] != nil, let id = entry.id, let attempt = entry.attempt {
                checkLoss(of: AttemptID(id, attempt), in: queue, reason: detail)
            }
        }
        for id in queue.changes.attempts.sorted() { checkGone(id, in: queue) }
        if let final = finals[queue.queueID], final != queue.status {
            world.violate(
                "\(queue.queueID) left its final state \(final.rawValue) for \(queue.status.rawValue)")
        }
        if queue.status.isFinal, finals[queue.queueID] == nil {
            finals[queue.queueID] = queue.status
            checkFinal(queue)
        }
    }

    /// Only a queue that is over runs again, and nothing that counts as done is half done.
    private func checkRetry(_ queue: QueueState) {
        guard let final = finals.removeValue(forKey: queue.queueID), final != .finished else {
            return world.violate(
                "\(queue.queueID) was retried as \(finals[queue.queueID]?.rawValue ?? "open")")
        }
        for (id, instance) in queue.instances where instance.machine.state == .finished {
            if !sink.done.contains(.init(queue: queue.queueID, id: id)) {
                world.violate("a retry kept \(id), whose work is not done")
            }
        }
        for (id, instance) in queue.instances where instance.machine.state != .finished {
            // Each run's topics are new: what it writes it writes anew.
            sink.done.remove(.init(queue: queue.queueID, id: id))
        }
    }

    /// An attempt is out of sight only when its job has ended.
    private func checkGone(_ id: AttemptID, in queue: QueueState) {
        guard queue.attempts[id]?.isGone == true,
            gone.insert(.init(key: .init(queue: queue.queueID, id: id.id), number: id.number)).inserted
        else { return }
        let live = cluster.live.first {
            $0.job.queueID == queue.queueID && $0.job.id == id.id && $0.job.attempt == id.number
                && !$0.isPooled
        }
        if let live { world.violate("attempt \(id) counts as gone and \(live.name) runs") }
    }

    /// An attempt may be called lost only when nothing it said lies unread, and nothing it says is awaited.
    private func checkLoss(of id: AttemptID, in queue: QueueState, reason: String) {
        let key = SimulatedSink.Key(queue: queue.queueID, id: id.id)
        if reason.hasPrefix("its process ended"), let final = sink.finalEvents[key]?[id.number],
            let gone = queue.attempts[id]?.goneOffset, final.offset < gone
        {
            world.violate(
                "attempt \(id) was called lost though its final event lay at \(final.offset) of \(gone)")
        }
        if reason.hasPrefix("its lease ran out"), let beat = sink.heartbeats[key]?[id.number], !beat.wasLate,
            world.now - beat.at < leaseMilliseconds * 2 / 3
        {
            world.violate("the lease of attempt \(id) ran out \(world.now - beat.at) ms after a heartbeat")
        }
    }

    private func checkFinal(_ queue: QueueState) {
        for (id, instance) in queue.instances {
            if !instance.machine.state.isFinal {
                world.violate("\(queue.queueID) ended while \(id) is \(instance.machine.state.rawValue)")
            }
            let isDone = sink.done.contains(.init(queue: queue.queueID, id: id))
            if instance.machine.state == .finished, !isDone {
                world.violate("\(id) counts as finished and its work is not done")
            }
            if queue.status == .finished, instance.machine.state != .finished {
                world.violate("\(queue.queueID) finished without \(id)")
            }
            if instance.machine.state == .failed { checkFailure(of: id, instance, in: queue) }
        }
    }

    /// Nothing fails because of what the engine itself went through.
    private func checkFailure(of id: InstanceID, _ instance: InstanceState, in queue: QueueState) {
        let machine = instance.machine
        guard machine.failures < machine.attemptsMax, !sink.finalErrors.contains(queue.queueID) else {
            return
        }
        world.violate(
            "\(id) failed after \(machine.failures) of \(machine.attemptsMax): \(machine.reason ?? "")")
    }

    // MARK: Locks, semaphores and limits

    /// Nothing is had by more than may have it: neither as written, nor as it is.
    func checkHolds(_ store: MemoryEngineStorage) {
        var running: [Resource: Int] = [:]
        for queue in store.queues.values.map(\.state) {
            let present = Set(queue.attempts.values.filter { !$0.isGone }.map(\.id.id))
            for step in queue.plan.steps {
                let demands = store.resources.limits.demands(of: step)
                for id in present where id.step == step.id {
                    for resource in demands { running[resource, default: 0] += 1 }
                }
            }
        }
        for (who, counts) in [("hold", store.resources.held), ("run with", running)] {
            for (resource, count) in counts where count > store.resources.permits(of: resource) {
                world.violate(
                    "\(count) \(who) \(resource.name) of \(store.resources.permits(of: resource)) permits")
            }
        }
    }

    // MARK: Topics

    /// Only topics of runs that are over go, and none of others.
    func checkDeletion(of topics: [String], _ store: MemoryEngineStorage) {
        for topic in topics where SimulatedBroker.foreignTopics.contains(topic) {
            world.violate("the topic \(topic) is not ours and was deleted")
        }
        for queue in store.queues.values.map(\.state) where !queue.status.isFinal {
            let earlier = queue.run > 1 ? queue.plan.topics(queue.queueID, runs: queue.run - 1) : []
            let needed = Set(queue.plan.topics(queue.queueID, runs: queue.run)).subtracting(earlier)
            if let topic = topics.first(where: { needed.contains($0) }) {
                world.violate(
                    "the topic \(topic) was deleted while \(queue.queueID) is \(queue.status.rawValue)")
            }
        }
    }

    // MARK: The end

    func checkEnd(
        of queues: [QueueID], store: MemoryEngineStorage, broker: SimulatedBroker, cluster: SimulatedCluster
    ) {
        guard world.violations.isEmpty else { return }
        for id in queues {
            guard let stored = store.queues[id] else {
                world.violate("\(id) is gone")
                continue
            }
            let ends = stored.history.filter {
                ["queue_finished", "queue_failed", "queue_stopped"].contains($0.kind)
            }
            let retries = stored.history.count { $0.kind == "queue_retried" }
            if ends.count != retries + 1 {
                world.violate("\(id) has \(ends.count) final states: it is \(stored.state.status.rawValue)")
            }
            if !stored.state.isCleaned { world.violate("\(id) was not cleaned up") }
            if stored.claimToken != nil { world.violate("\(id) is still claimed") }
            for attempt in stored.state.attempts.values where attempt.endedAt == nil || !attempt.isGone {
                world.violate("attempt \(attempt.id) of \(id) is left over")
            }
            checkEvents(of: id, stored.history)
        }
        if let hold = store.resources.holds.values.joined().first {
            world.violate("\(hold.resource.name) is still held by \(hold.id)")
        }
        if let wait = store.resources.waits.values.joined().first {
            world.violate("\(wait.hold.id) still waits for \(wait.hold.resource.name)")
        }
        if !store.outbox.isEmpty { world.violate("\(store.outbox.count) commands are left in the outbox") }
        if !broker.topics.isEmpty { world.violate("topics are left: \(broker.topics.sorted())") }
        if let job = cluster.live.first(where: { !$0.isPooled || $0.isTaken }) {
            world.violate("the job \(job.name) is left over")
        }
    }

    /// No event of a worker counts twice.
    private func checkEvents(of id: QueueID, _ history: [HistoryEntry]) {
        var seen: [AttemptID: Int64] = [:]
        for entry in history where entry.kind.hasPrefix("worker_") {
            guard let instance = entry.id, let attempt = entry.attempt, let seq = entry.detail["seq"]?.integer
            else {
                continue
            }
            let key = AttemptID(instance, attempt)
            if seq <= seen[key, default: 0] { world.violate("event \(seq) of \(key) was applied twice") }
            seen[key] = seq
        }
    }
}
