import KafkaBridge
import Testing
import Workflow

@testable import WorkerKit

struct SeenStopsTests {
    private let queue: QueueID
    private let step: StepID

    init() throws {
        queue = try #require(QueueID("wf-btcusdt-dummy-20240801-abc123"))
        step = try #require(StepID("try"))
    }

    private func offer(attempt: Int = 1) -> PoolOffer {
        PoolOffer(
            queueID: queue, id: InstanceID(step: step, instance: "BTCUSDT"), attempt: attempt,
            target: .dummyService, environment: [:])
    }

    private func stop(
        _ offset: Int64, partition: Int32 = 0, seq: Int64 = 1, attempt: Int? = nil
    ) -> SeenStops.Stop {
        SeenStops.Stop(
            partition: partition, offset: offset,
            command: ControlCommand(
                command: .stop, queueID: queue, attempt: attempt, commandID: "c", commandSeq: seq,
                timestamp: 1))
    }

    @Test func `a stop since the launch ends the attempt it concerns`() {
        var stops = SeenStops()
        stops.cover(0, from: 5)
        stops.note(stop(10, attempt: 1))
        #expect(stops.endsBeforeStart(offer(), since: 10))
        #expect(stops.endsBeforeStart(offer(), since: 5))
        #expect(!stops.endsBeforeStart(offer(), since: 11))
        #expect(!stops.endsBeforeStart(offer(attempt: 2), since: 5))
    }

    @Test func `a stop with a lower number than an earlier one does not count`() {
        var stops = SeenStops()
        stops.note(stop(10, seq: 8, attempt: 7))
        stops.note(stop(11, seq: 3, attempt: 1))
        #expect(!stops.endsBeforeStart(offer(), since: 0))
    }

    @Test func `knows what it does not cover`() {
        var stops = SeenStops()
        stops.cover(0, from: 100)
        #expect(stops.gap(0, from: 100) == nil)
        #expect(stops.gap(0, from: 40) == 40..<100)
    }

    @Test func `a gap that was read is covered from then on`() {
        var stops = SeenStops()
        stops.cover(0, from: 100)
        stops.note(stop(120, attempt: 9))
        stops.fill(0, 40..<100, with: [stop(50, attempt: 1)])
        #expect(stops.gap(0, from: 40) == nil)
        #expect(stops.gap(0, from: 39) == 39..<40)
        #expect(stops.endsBeforeStart(offer(), since: 45))
        #expect(!stops.endsBeforeStart(offer(), since: 60))
    }

    @Test func `a gap too large to keep still counts for whom it was read`() {
        var stops = SeenStops(limit: 2)
        stops.cover(0, from: 100)
        stops.note(stop(110, attempt: 9))
        let found = [stop(50, attempt: 1), stop(51, attempt: 2)]
        stops.fill(0, 40..<100, with: found)
        #expect(stops.gap(0, from: 40) == 40..<100 && stops.count == 1)
        #expect(stops.endsBeforeStart(offer(), since: 40, found))
    }

    @Test func `forgets the oldest beyond its limit, and knows that it did`() {
        var stops = SeenStops(limit: 3)
        stops.cover(0, from: 0)
        for offset in 0..<50 { stops.note(stop(Int64(offset), attempt: offset)) }
        #expect(stops.count == 3)
        #expect(stops.gap(0, from: 0) == 0..<47)
        #expect(stops.gap(0, from: 47) == nil)
        #expect(stops.endsBeforeStart(offer(attempt: 49), since: 47))
        #expect(!stops.endsBeforeStart(offer(attempt: 3), since: 0))
    }
}

struct OfferBufferTests {
    private func read(_ partition: Int32, _ offset: Int64) -> OfferBuffer.Read {
        .init(partition: TopicPartition("t", partition), offset: offset, value: [])
    }

    @Test func `gives the oldest first, and tells how much room is left`() {
        var buffer = OfferBuffer(limit: 4)
        for offset in 0..<3 { buffer.add(read(0, Int64(offset))) }
        #expect(buffer.room == 1 && !buffer.isLow)
        #expect(buffer.take(2) == [read(0, 0), read(0, 1)])
        #expect(buffer.isLow && buffer.room == 3)
        #expect(buffer.take(9) == [read(0, 2)])
        #expect(buffer.isEmpty && buffer.take(1).isEmpty)
    }

    @Test func `forgets what belongs to others`() {
        var buffer = OfferBuffer(limit: 4)
        for partition in [0, 1, 0] { buffer.add(read(Int32(partition), 5)) }
        buffer.drop([TopicPartition("t", 0)])
        #expect(buffer.take(9) == [read(1, 5)])
    }

    @Test func `commits after the last offer of each partition`() {
        let positions = OfferBuffer.positions(after: [read(0, 4), read(1, 9), read(0, 5)])
        #expect(positions == [TopicPartition("t", 0): 6, TopicPartition("t", 1): 10])
    }
}

@Suite(.timeLimit(.minutes(1)))
struct PoolSlotsTests {
    @Test func `gives no more slots than there are`() {
        let slots = PoolSlots(3)
        #expect(slots.take(upTo: 2) == 2 && slots.take(upTo: 2) == 1 && slots.take(upTo: 1) == 0)
        slots.give(2)
        #expect(slots.used == 1 && slots.take(upTo: 5) == 2)
    }

    @Test func `wakes who waits when a slot comes free, and at a pulse`() async {
        let slots = PoolSlots(1)
        await slots.waitForFree()
        #expect(slots.take(upTo: 1) == 1)
        let end = StopSignal()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await slots.waitForFree()
                end.request()
            }
            // The wait may begin after a pulse, so it is pulsed until it ends.
            while !end.isRequested {
                slots.pulse()
                await Task.yield()
            }
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await slots.waitForFree() }
            slots.give()
        }
        #expect(slots.used == 0)
    }

    @Test func `positions are due when a while has passed, and only those still held`() {
        var taken = TakenPositions()
        let (first, second) = (TopicPartition("t", 0), TopicPartition("t", 1))
        let start = ContinuousClock.now
        #expect(taken.due(at: start).isEmpty)
        taken.committed([first: 3, second: 9], at: start)
        #expect(taken.due(at: start + .seconds(9)).isEmpty)
        #expect(taken.due(at: start + .seconds(10)) == [first: 3, second: 9])
        #expect(taken.due(at: start + .seconds(11)).isEmpty)
        taken.committed([first: 4], at: start + .seconds(12))
        taken.drop([second])
        #expect(taken.due(at: start + .seconds(20)).isEmpty)
        #expect(taken.due(at: start + .seconds(22)) == [first: 4])
        taken.drop([first])
        #expect(taken.due(at: start + .seconds(60)).isEmpty)
    }
}
