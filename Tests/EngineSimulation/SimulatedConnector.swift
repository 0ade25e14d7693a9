import QueueManager
import Workflow

/// The connectors that all queues share, for what one attempt of a loader wrote: they take it sooner or later, skip
/// what they know to be stopped, and may say their last word twice.
struct SimulatedConnector: Sendable {
    private let world: World
    private let broker: SimulatedBroker
    private let sink: SimulatedSink
    private let queue: QueueID
    private let id: InstanceID
    private let attempt: Int

    /// nil for what does not write to a shared topic.
    init?(world: World, broker: SimulatedBroker, sink: SimulatedSink, job: Job, plan: Plan) {
        guard let id = plan.sink(of: job.id) else { return nil }
        guard let attempt = job.environment["SINK_ATTEMPT"].flatMap(Int.init), attempt > 0 else {
            world.violate("\(job.id) was launched and nobody is there to store what it writes")
            return nil
        }
        self.world = world
        self.broker = broker
        self.sink = sink
        queue = job.queueID
        self.id = id
        self.attempt = attempt
    }

    /// The end marker is in the topic.
    func take() {
        world.spawn {
            await world.sleep(Int64(world.random.pick(10...3_000)))
            if world.fault("connector was away", 0.1) {
                await world.sleep(Int64(world.random.pick(3_000...15_000)))
            }
            if isStopped, !world.fault("connector had not read a stop", 0.3) { return }
            await say(.loading, 10)
            if world.fault("shared stream failed for good", 0.01) {
                sink.finalErrors.insert(queue)
                return await say(.error, 1_000, .final)
            }
            sink.done.insert(.init(queue: queue, id: id))
            await say(.finished, 1_000)
            if world.fault("connector said its last word again", 0.1) {
                await world.sleep(Int64(world.random.pick(10...9_000)))
                await say(.finished, Int64(world.random.pick(1_000...1_001)))
            }
        }
    }

    private var isStopped: Bool {
        broker.control[SimulatedBroker.partition(of: queue)].contains {
            $0.command == .stop && $0.concerns(queue, id, attempt: attempt)
        }
    }

    private func say(_ status: QueueEvent.Status, _ seq: Int64, _ reason: EndReason? = nil) async {
        while broker.isAway { await world.sleep(200) }
        let event = QueueEvent(
            status: status, reason: reason?.rawValue, queueID: queue, step: id.step, instance: id.instance,
            attempt: attempt, seq: seq, producer: "connector", workerID: DerivedName.connectorGroup,
            symbol: id.instance, type: "t", message: "m",
            counts: InstanceCounts(recordsRead: 10, recordsWritten: 10), timestamp: 0)
        world.tell("event \(status) of \(id)/\(attempt) at \(broker.append(event))")
    }
}
