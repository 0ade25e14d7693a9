import Synchronization
import Testing
import WorkerKit
import Workflow

struct CommandFilterTests {
    private let queue: QueueID
    private let other: QueueID
    private let step: StepID
    private var filter: CommandFilter

    init() throws {
        queue = try #require(QueueID("wf-btcusdt-api_candles_5m-20240801-abc123"))
        other = try #require(QueueID("wf-btcusdt-api_candles_5m-20240801-zzz999"))
        step = try #require(StepID("candles"))
        filter = CommandFilter(
            queueID: queue, instance: InstanceID(step: step, instance: "BTCUSDT"), attempt: 2)
    }

    private func command(
        _ kind: ControlCommand.Command, _ seq: Int64, queue: QueueID? = nil, instance: String? = nil,
        attempt: Int? = nil
    ) -> ControlCommand {
        ControlCommand(
            command: kind, queueID: queue ?? self.queue, instance: instance, attempt: attempt,
            commandID: "c\(seq)", commandSeq: seq, reason: "why", timestamp: 1)
    }

    @Test mutating func `takes a stop for all and for exactly this attempt`() {
        #expect(filter.apply(command(.stop, 1)) == .stop(reason: "why"))
        #expect(filter.apply(command(.stop, 2, instance: "BTCUSDT", attempt: 2)) == .stop(reason: "why"))
    }

    @Test mutating func `skips what is for other queues, instances and attempts`() {
        #expect(filter.apply(command(.stop, 1, queue: other)) == .skip)
        #expect(filter.apply(command(.stop, 2, instance: "ETHUSDT")) == .skip)
        #expect(filter.apply(command(.stop, 3, attempt: 1)) == .skip)
        #expect(filter.apply(command(.start, 4)) == .skip)
    }

    @Test mutating func `skips a command older than one seen, and takes a repeat`() {
        #expect(filter.apply(command(.stop, 5, attempt: 1)) == .skip)
        #expect(filter.apply(command(.stop, 4)) == .skip)
        #expect(filter.apply(command(.ping, 5)) == .answer(command(.ping, 5)))
        #expect(filter.apply(command(.ping, 5)) == .answer(command(.ping, 5)))
    }

    @Test mutating func `a command by hand is heard at any time, and none is ignored for it`() {
        #expect(filter.apply(command(.ping, 5)) == .answer(command(.ping, 5)))
        let byHand = command(.ping, ControlCommand.outOfSequence)
        #expect(filter.apply(byHand) == .answer(byHand))
        #expect(filter.apply(command(.stop, 4)) == .skip)
        #expect(filter.apply(command(.stop, 6)) == .stop(reason: "why"))
    }

    @Test mutating func `does not count the numbers of other queues`() {
        #expect(filter.apply(command(.stop, 100, queue: other)) == .skip)
        #expect(filter.apply(command(.stop, 1)) == .stop(reason: "why"))
    }
}

struct LeaseStateTests {
    private final class Clock: Sendable {
        private let instant = Mutex(ContinuousClock.now)
        var now: ContinuousClock.Instant { instant.withLock { $0 } }
        func advance(_ duration: Duration) { instant.withLock { $0 += duration } }
    }

    @Test func `forbids writes after two thirds of the lease without a delivered heartbeat`() {
        let clock = Clock()
        let lease = LeaseState(lease: .seconds(30), now: { clock.now })
        clock.advance(.seconds(19))
        #expect(lease.mayWrite)
        clock.advance(.seconds(1))
        #expect(!lease.mayWrite)
    }

    @Test func `work that began before its start was stored may not write yet`() {
        let clock = Clock()
        let lease = LeaseState(lease: .seconds(30), isRenewed: false, now: { clock.now })
        #expect(!lease.mayWrite)
        lease.renew(sent: clock.now)
        #expect(lease.mayWrite)
    }

    @Test func `counts from when a heartbeat was sent, not from when it arrived`() {
        let clock = Clock()
        let lease = LeaseState(lease: .seconds(30), now: { clock.now })
        let sent = clock.now
        clock.advance(.seconds(25))
        lease.renew(sent: sent)
        #expect(!lease.mayWrite)
        lease.renew(sent: clock.now)
        #expect(lease.mayWrite)
        lease.renew(sent: sent)
        #expect(lease.mayWrite)
    }
}

@Suite(.timeLimit(.minutes(1)))
struct StopSignalTests {
    @Test func `wakes all who wait, and later ones at once`() async {
        let stop = StopSignal()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<10 { group.addTask { await stop.wait() } }
            stop.request()
        }
        await stop.wait()
        #expect(stop.isRequested)
    }

    @Test func `ends the wait of a cancelled task`() async {
        let stop = StopSignal()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await stop.wait() }
            group.cancelAll()
        }
        #expect(!stop.isRequested)
    }

    @Test func `cancels long work when a stop comes`() async throws {
        let stop = StopSignal()
        let (begun, begin) = AsyncStream<Void>.makeStream()
        let result = try await withThrowingTaskGroup(of: Int?.self) { group in
            group.addTask {
                try await stop.unlessRequested {
                    begin.yield()
                    try await Task.sleep(for: .seconds(3_600))
                    return 1
                }
            }
            for await _ in begun { break }
            stop.request()
            return try await group.next()
        }
        #expect(result == .some(nil))
        #expect(try await stop.unlessRequested { 1 } == nil)
        #expect(try await StopSignal().unlessRequested { 1 } == 1)
    }
}
