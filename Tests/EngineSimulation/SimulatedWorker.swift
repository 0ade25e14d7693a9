import QueueManager
import Workflow

/// What workers have done: the data side of the simulation, fenced as Kafka fences transactions.
///
/// `@unchecked`: lives on the simulation's one thread.
final class SimulatedSink: @unchecked Sendable {
    struct Key: Hashable {
        var queue: QueueID
        var id: InstanceID
    }

    struct AttemptKey: Hashable {
        var key: Key
        var number: Int
    }

    struct Owner {
        var attempt: Int
        var workerID: String
    }

    /// Who initialised last: whoever did before is fenced.
    var owners: [Key: Owner] = [:]
    var highest: [Key: Int] = [:]
    /// Instances whose work is all done.
    var done: Set<Key> = []
    /// The offset of an attempt's final event on its partition.
    var finalEvents: [Key: [Int: (offset: Int64, status: QueueEvent.Status)]] = [:]
    /// When an attempt last got a heartbeat into the topic, and whether it was ever late.
    var heartbeats: [Key: [Int: (at: Int64, wasLate: Bool)]] = [:]
    var finalErrors: Set<QueueID> = []
}

/// One worker process, as design decision 2 wants it: reads queue-control to its end, then fences, then works.
struct SimulatedWorker: Sendable {
    let world: World
    let broker: SimulatedBroker
    let sink: SimulatedSink
    let running: SimulatedCluster.Running
    let plan: Plan
    let leaseMilliseconds: Int64

    private enum Ending { case finish, retriable, final, crash, hang }

    /// Who stores what it writes, over a shared topic.
    private var connector: SimulatedConnector? {
        SimulatedConnector(world: world, broker: broker, sink: sink, job: running.job, plan: plan)
    }

    private var key: SimulatedSink.Key { .init(queue: running.job.queueID, id: running.job.id) }

    func run() async {
        // Says so where nobody would store what it writes.
        _ = connector
        await world.sleep(Int64(world.random.pick(5...600)))
        if running.isPooled {
            // The offer waits for a free slot.
            if world.fault("offer waited long", 0.05) {
                await world.sleep(Int64(world.random.pick(2_000...9_000)))
            }
            running.isTaken = true
            if world.fault("pool worker died after take", 0.02) {
                running.end = "died"
                return
            }
        }
        guard !running.isKilled else { return }
        let workerID = "w\(world.random.next() % 1_000_000)"
        await waitForBroker()
        if isStopped() {
            running.end = "exit 4"
            return
        }
        if world.fault("worker stopped before it fenced", 0.01) {
            // The one gap the protocol leaves; the fenced one then gives way, see below.
            await world.sleep(Int64(world.random.pick(2_000...12_000)))
            initialise(workerID, mayBeLate: true)
        } else {
            initialise(workerID, mayBeLate: false)
        }
        await work(workerID)
    }

    private func initialise(_ workerID: String, mayBeLate: Bool) {
        let number = running.job.attempt
        if !mayBeLate {
            if let highest = sink.highest[key], highest > number {
                world.violate("attempt \(number) of \(key.id) began to write after attempt \(highest)")
            }
            if let owner = sink.owners[key], owner.attempt == number {
                world.violate("two workers began to write as attempt \(number) of \(key.id)")
            }
        }
        sink.highest[key] = max(sink.highest[key] ?? 0, number)
        sink.owners[key] = .init(attempt: number, workerID: workerID)
        world.tell("worker \(workerID) owns \(key.id) as attempt \(number)")
    }

    private func work(_ workerID: String) async {
        var seq: Int64 = 1
        await send(.started, seq, workerID)
        let ending = chooseEnding()
        let duration = Int64(world.random.pick(20...4_000))
        let start = world.now
        var beat = world.now
        while true {
            await world.sleep(Int64(world.random.pick(20...300)))
            guard !running.isKilled else { return }
            if sink.owners[key]?.workerID != workerID {
                running.end = "exit 4"
                return
            }
            if isStopped() {
                seq += 1
                await send(.interrupted, seq, workerID)
                running.end = "exit 3"
                return
            }
            if world.now - beat >= leaseMilliseconds / 3 {
                seq += 1
                await send(.loading, seq, workerID)
                beat = world.now
            }
            guard world.now - start >= duration, isInputDone || ending != .finish else { continue }
            switch ending {
            case .finish:
                sink.done.insert(key)
                connector?.take()
                await finish(.finished, nil, seq + 1, workerID, exit: "exit 0")
            case .retriable: await finish(.error, .retriable, seq + 1, workerID, exit: "exit 20")
            case .final:
                sink.finalErrors.insert(key.queue)
                await finish(.error, .final, seq + 1, workerID, exit: "exit 21")
            case .crash: running.end = "signal 9"
            case .hang:
                await world.sleep(leaseMilliseconds * 3)
                if running.isKilled { return }
                if sink.owners[key]?.workerID != workerID {
                    running.end = "exit 4"
                    return
                }
                sink.done.insert(key)
                connector?.take()
                await finish(.finished, nil, seq + 1, workerID, exit: "exit 0")
            }
            return
        }
    }

    private func finish(
        _ status: QueueEvent.Status, _ reason: EndReason?, _ seq: Int64, _ workerID: String, exit: String
    ) async {
        await send(status, seq, workerID, reason)
        guard !running.isKilled else { return }
        // A process lives on for a moment after its last word.
        await world.sleep(Int64(world.random.pick(0...200)))
        if running.end == nil { running.end = exit }
    }

    private func chooseEnding() -> Ending {
        if world.fault("worker failed", 0.08) { return .retriable }
        if world.fault("worker failed for good", 0.01) { return .final }
        if world.fault("worker crashed", 0.08) { return .crash }
        if world.fault("worker hung beyond its lease", 0.04) { return .hang }
        return .finish
    }

    /// The other side of a stream edge has written its end marker.
    private var isInputDone: Bool {
        guard let input = plan.step(key.id.step)?.input else { return true }
        return sink.done.contains(.init(queue: key.queue, id: .init(step: input, instance: key.id.instance)))
    }

    private func isStopped() -> Bool {
        let job = running.job
        let from = Int(job.environment["CONTROL_OFFSET"] ?? "0") ?? 0
        let log = broker.control[SimulatedBroker.partition(of: job.queueID)]
        return log.dropFirst(from).contains {
            $0.command == .stop && $0.concerns(job.queueID, job.id, attempt: job.attempt)
        }
    }

    private func waitForBroker() async {
        while broker.isAway { await world.sleep(200) }
    }

    private func send(
        _ status: QueueEvent.Status, _ seq: Int64, _ workerID: String, _ reason: EndReason? = nil
    ) async {
        let job = running.job
        let counts = InstanceCounts(recordsRead: 10, recordsWritten: 10)
        let event = QueueEvent(
            status: status, reason: reason?.rawValue, queueID: job.queueID, step: job.id.step,
            instance: job.id.instance, attempt: job.attempt, seq: seq, producer: workerID, workerID: workerID,
            symbol: job.id.instance, type: "t", message: "m", counts: counts, timestamp: 0)
        await world.sleep(Int64(world.random.pick(1...10)))
        if world.fault("event delayed", 0.02) { await world.sleep(Int64(world.random.pick(500...3_000))) }
        await waitForBroker()
        guard !running.isKilled else { return }
        let offset = broker.append(event)
        note(status, offset)
        if world.fault("event doubled", 0.03) { _ = broker.append(event) }
        if world.fault("event doubled late", 0.02) {
            world.spawn { [world, broker] in
                await world.sleep(Int64(world.random.pick(500...9_000)))
                _ = broker.append(event)
            }
        }
        if world.fault("poison event", 0.01) {
            broker.appendPoison(SimulatedBroker.partition(of: job.queueID))
        }
        world.tell("event \(status) of \(job.id)/\(job.attempt) at \(offset)")
    }

    private func note(_ status: QueueEvent.Status, _ offset: Int64) {
        let number = running.job.attempt
        if status.isFinal { sink.finalEvents[key, default: [:]][number] = (offset, status) }
        let last = sink.heartbeats[key]?[number]
        // The first word has the start limit, which is longer.
        let since = last?.at ?? running.startedAt
        let isLate = world.now - since >= leaseMilliseconds * 2 / 3
        sink.heartbeats[key, default: [:]][number] = (world.now, isLate || (last?.wasLate ?? false))
    }
}
