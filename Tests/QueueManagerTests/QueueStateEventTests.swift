import Testing
import Workflow

@testable import QueueManager

/// What workers say about a queue, line by line.
struct QueueStateEventTests {
    private let counts = InstanceCounts(recordsRead: 3, recordsWritten: 2, lastKey: "k", lastSeq: 2)

    @Test func `the first event of an attempt makes it run`() throws {
        var rig = try StateRig()
        rig.launch()
        rig.forget()
        rig.now += 10
        #expect(rig.say(.started, seq: 1) == true)
        #expect(rig.machine.state == .running && rig.live?.workerID == "w1")
        #expect(rig.live?.lastEventSeq == 1 && rig.live?.status == "started")
        #expect(rig.live?.leaseUntil == rig.now + 30_000)
        #expect(rig.history == ["worker_started"] && !rig.queue.changes.needsLook)
    }

    @Test func `a heartbeat alone makes it run too`() throws {
        var rig = try StateRig()
        rig.launch()
        rig.say(.loading, seq: 4)
        #expect(rig.machine.state == .running)
    }

    @Test(arguments: [1, 2] as [Int64])
    func `a repeat or an earlier event changes nothing`(seq: Int64) throws {
        var rig = try StateRig()
        rig.start()
        rig.say(.loading, seq: 2, counts: counts)
        rig.forget()
        #expect(rig.say(.finished, seq: seq) == false)
        #expect(rig.queue.changes.isEmpty && rig.machine.state == .running)
    }

    @Test func `a second process of an attempt does not count`() throws {
        var rig = try StateRig()
        rig.start()
        rig.forget()
        #expect(rig.say(.finished, seq: 9, worker: "w2") == false)
        #expect(rig.queue.changes.isEmpty && rig.live?.workerID == "w1")
    }

    @Test func `events of attempts and instances that are not there do not count`() throws {
        var rig = try StateRig()
        rig.start()
        rig.forget()
        #expect(rig.say(.finished, seq: 1, attempt: 2) == false)
        #expect(rig.queue.changes.isEmpty)
    }

    @Test func `a pong is no word about an attempt`() throws {
        var rig = try StateRig()
        rig.start()
        rig.forget()
        let pong = QueueEvent(
            event: .pong, status: nil, queueID: rig.queue.queueID, step: rig.id.step,
            instance: rig.id.instance, attempt: 1, seq: 5, producer: "p", workerID: "w1", symbol: "s",
            type: "t", message: "m", timestamp: 1)
        #expect(rig.queue.apply(pong, rig.context) == false)
        #expect(rig.queue.changes.isEmpty)
    }

    @Test func `counts are those of the newest event`() throws {
        var rig = try StateRig()
        rig.start()
        rig.say(.loading, seq: 2, counts: counts)
        #expect(rig.queue.instances[rig.id]?.counts == counts)
        rig.say(.loading, seq: 3, counts: InstanceCounts(recordsRead: 4, recordsWritten: 4))
        let later = rig.queue.instances[rig.id]?.counts
        #expect(later?.recordsWritten == 4 && later?.lastKey == "k" && later?.lastSeq == 2)
    }

    @Test func `events of an earlier attempt are history only`() throws {
        var rig = try StateRig.pooled()
        rig.start()
        (rig.now, rig.caughtUpAt) = (rig.now + 30_001, rig.now + 30_001)
        rig.look()
        rig.apply(.stopSent(rig.attempt))
        rig.now += 250
        rig.launch()
        rig.forget()
        #expect(rig.say(.finished, seq: 2, counts: counts) == true)
        #expect(rig.machine.attempt == 2 && rig.machine.state == .starting)
        #expect(rig.queue.instances[rig.id]?.counts == InstanceCounts())
        #expect(rig.history == ["worker_finished"])
        #expect(rig.queue.changes.history.first?.detail["is_late"] == .bool(true))
        #expect(rig.queue.changes.settledAttempts == [AttemptID(rig.id, 1)])
    }

    @Test func `events after the end of an instance are history only`() throws {
        var rig = try StateRig()
        rig.start()
        rig.say(.finished, seq: 2, counts: counts)
        #expect(rig.say(.loading, seq: 3, counts: InstanceCounts(recordsRead: 99)) == true)
        #expect(rig.machine.state == .finished && rig.queue.instances[rig.id]?.counts == counts)
        #expect(rig.live?.status == "finished")
    }

    @Test func `a final event settles its attempt: nobody is left to be told`() throws {
        var rig = try StateRig()
        rig.start()
        rig.request(.pause)
        rig.apply(.suspend(rig.id))
        rig.forget()
        #expect(rig.say(.interrupted, seq: 2) == true)
        #expect(rig.live?.isStopSent == true && rig.live?.endedAt == rig.now)
        #expect(rig.queue.changes.settledAttempts == [rig.attempt] && rig.queue.changes.needsLook)
        #expect(rig.history == ["worker_interrupted", "instance_waiting"])
        #expect(rig.machine.state == .waiting && rig.machine.failures == 0)
    }

    @Test func `finished is final`() throws {
        var rig = try StateRig()
        rig.start()
        rig.forget()
        rig.say(.finished, seq: 2, counts: counts)
        #expect(rig.machine.state == .finished && rig.queue.instances[rig.id]?.finishedAt == rig.now)
        #expect(rig.history == ["worker_finished", "instance_finished"])
    }

    @Test(arguments: [EndReason.final, .tooManyDeadLetters, .upstreamFailed, .superseded, nil])
    func `an error is worth another attempt only when the worker says so`(reason: EndReason?) throws {
        var rig = try StateRig()
        rig.start()
        rig.say(.error, seq: 2, reason: reason, error: "no")
        #expect(rig.machine.state == .failed && rig.machine.reason == "no")
    }

    @Test func `an error without words is told by its message`() throws {
        var rig = try StateRig()
        rig.start()
        rig.say(.error, seq: 2, reason: .final)
        #expect(rig.machine.reason == "m")
    }

    @Test func `an interruption while nobody wants the instance ends it`() throws {
        var rig = try StateRig()
        rig.start()
        rig.apply(.input(.cancel(reason: "stop_requested"), rig.id, stop: "stop_requested"))
        rig.say(.interrupted, seq: 2)
        #expect(rig.machine.state == .interrupted && rig.machine.reason == "stop_requested")
    }

    @Test func `work that was finished in spite of a stop is finished`() throws {
        var rig = try StateRig()
        rig.start()
        rig.apply(.input(.cancel(reason: "stop_requested"), rig.id, stop: "stop_requested"))
        rig.say(.finished, seq: 2)
        #expect(rig.machine.state == .finished)
    }

    @Test func `history tells what the worker said`() throws {
        var rig = try StateRig()
        rig.start()
        rig.forget()
        rig.say(.error, seq: 2, reason: .retriable, counts: counts, error: "no")
        let entry = try #require(rig.queue.changes.history.first)
        #expect(entry.kind == "worker_error" && entry.actor == "p" && entry.attempt == 1)
        #expect(entry.detail["seq"] == .integer(2) && entry.detail["worker_id"] == .string("w1"))
        #expect(entry.detail["records_read"] == .integer(3) && entry.detail["last_key"] == .string("k"))
        #expect(entry.detail["reason"] == .string("retriable") && entry.detail["error"] == .string("no"))
        let numbers = rig.queue.changes.history.map(\.number)
        #expect(numbers == [rig.queue.eventNumber - 1, rig.queue.eventNumber])
    }
}
