import Testing
import Workflow

@testable import QueueManager

/// Each operation on a queue, line by line.
struct QueueStateTests {
    // MARK: The queue

    @Test func `a new queue waits with all of its instances`() throws {
        let rig = try StateRig(symbols: ["A", "B"])
        #expect(rig.queue.status == .pending && rig.queue.eventNumber == 1)
        #expect(rig.queue.instances.values.map(\.machine.state) == [.waiting, .waiting])
    }

    @Test func `begins once`() throws {
        var rig = try StateRig()
        #expect(rig.apply(.begin) == true)
        #expect(rig.queue.status == .running && rig.queue.startedAt == rig.now)
        rig.now += 5
        #expect(rig.apply(.begin) == false)
        #expect(rig.queue.startedAt == rig.now - 5 && rig.history == ["queue_running"])
    }

    @Test func `ends once, and what it had to say is said`() throws {
        var rig = try StateRig()
        rig.apply(.begin)
        #expect(rig.apply(.end(.failed, reason: "why")) == true)
        #expect(rig.queue.status == .failed && rig.queue.reason == "why")
        #expect(rig.queue.finishedAt == rig.now && rig.queue.changes.dropsCommands)
        #expect(rig.queue.changes.history.last?.detail["reason"] == .string("why"))
        #expect(rig.apply(.end(.finished, reason: nil)) == false && rig.apply(.begin) == false)
        #expect(rig.queue.status == .failed)
    }

    @Test func `a running queue is never stopped without stopping first`() throws {
        var rig = try StateRig()
        rig.apply(.begin)
        #expect(rig.apply(.end(.stopped, reason: nil)) == false)
        rig.request(.stop)
        #expect(rig.apply(.end(.finished, reason: nil)) == false)
        #expect(rig.apply(.end(.stopped, reason: nil)) == true)
    }

    @Test func `is cleaned once, and only when it is final`() throws {
        var rig = try StateRig()
        #expect(rig.apply(.cleaned) == false)
        rig.apply(.end(.failed, reason: nil))
        #expect(rig.apply(.cleaned) == true && rig.apply(.cleaned) == false)
        #expect(rig.queue.changes.isQueueChanged)
    }

    // MARK: Requests

    @Test func `time spent in pauses is counted`() throws {
        var rig = try StateRig()
        rig.apply(.begin)
        for pause in [100, 250] as [Int64] {
            rig.now += 1_000
            rig.request(.pause)
            #expect(rig.queue.pausedAt == rig.now)
            rig.now += pause
            rig.request(.resume)
        }
        #expect(rig.queue.pausedMilliseconds == 350 && rig.queue.pausedAt == nil)
        #expect(rig.queue.snapshot(now: rig.now).elapsed == 2_000)
    }

    @Test func `no time passes in a pause`() throws {
        var rig = try StateRig()
        rig.start()
        rig.now += 1_000
        rig.request(.pause)
        rig.now += 60_000
        let snapshot = rig.queue.snapshot(now: rig.now)
        #expect(snapshot.elapsed == 1_000 && snapshot.instances[rig.id]?.elapsed == 1_000)
    }

    @Test func `a pause before an instance began is none of its time`() throws {
        var rig = try StateRig()
        rig.apply(.begin)
        rig.request(.pause)
        rig.now += 60_000
        rig.request(.resume)
        rig.look()
        rig.now += 500
        #expect(rig.queue.snapshot(now: rig.now).instances[rig.id]?.elapsed == 500)
        #expect(rig.queue.snapshot(now: rig.now).elapsed == 500)
    }

    @Test func `a clock that was put back makes no pause negative`() throws {
        var rig = try StateRig()
        rig.apply(.begin)
        rig.request(.pause)
        rig.now -= 5_000
        rig.request(.resume)
        #expect(rig.queue.pausedMilliseconds == 0)
    }

    @Test func `a queue that was paused before it ran goes back to pending`() throws {
        var rig = try StateRig()
        rig.request(.pause)
        rig.request(.resume)
        #expect(rig.queue.status == .pending)
        rig.apply(.begin)
        rig.request(.pause)
        rig.request(.resume)
        #expect(rig.queue.status == .running)
    }

    @Test func `terminate says so, also to a queue that stops already`() throws {
        var rig = try StateRig()
        rig.apply(.begin)
        rig.request(.stop)
        #expect(!rig.queue.isTerminated)
        rig.request(.terminate)
        #expect(rig.queue.isTerminated && rig.queue.status == .stopping)
        #expect(rig.history == ["queue_running", "queue_stopping", "queue_terminating"])
    }

    @Test(
        arguments: zip(
            [QueueRequest.pause, .resume, .stop, .terminate],
            [
                EngineStore.RequestOutcome.refused(.finished), .refused(.finished), .met(.finished),
                .met(.finished),
            ]))
    func `a final queue stays as it is`(request: QueueRequest, outcome: EngineStore.RequestOutcome) throws {
        var rig = try StateRig()
        rig.apply(.begin)
        rig.apply(.end(.finished, reason: nil))
        rig.forget()
        #expect(rig.queue.answer(to: request, actor: "api", rig.context) == outcome)
        #expect(rig.queue.changes.isEmpty)
    }

    @Test func `asking twice changes nothing`() throws {
        var rig = try StateRig()
        rig.apply(.begin)
        #expect(rig.queue.answer(to: .resume, actor: "api", rig.context) == .met(.running))
        #expect(rig.queue.answer(to: .pause, actor: "api", rig.context) == .accepted(.paused))
        #expect(rig.queue.answer(to: .pause, actor: "api", rig.context) == .met(.paused))
        #expect(rig.queue.answer(to: .stop, actor: "api", rig.context) == .accepted(.stopping))
        rig.forget()
        #expect(rig.queue.answer(to: .stop, actor: "api", rig.context) == .accepted(.stopping))
        #expect(rig.queue.changes.isEmpty)
        #expect(rig.queue.answer(to: .pause, actor: "api", rig.context) == .refused(.stopping))
        #expect(rig.queue.answer(to: .terminate, actor: "api", rig.context) == .accepted(.stopping))
        rig.forget()
        #expect(rig.queue.answer(to: .terminate, actor: "api", rig.context) == .accepted(.stopping))
        #expect(rig.queue.changes.isEmpty)
    }

    // MARK: Attempts

    @Test func `an attempt is created with the limit for its start`() throws {
        var rig = try StateRig()
        rig.apply(.begin)
        rig.blind = 700
        #expect(rig.apply(.createAttempt(rig.id, ControlPosition(partition: 1, offset: 2))) == true)
        #expect(rig.machine.state == .starting && rig.machine.attempt == 1)
        #expect(rig.live?.leaseUntil == rig.now + 60_000 && rig.live?.leaseBlind == 700)
        #expect(rig.queue.instances[rig.id]?.startedAt == rig.now)
        #expect(rig.history == ["queue_running", "attempt_created"])
    }

    @Test func `no attempt is created beside a live one`() throws {
        var rig = try StateRig()
        rig.launch()
        #expect(rig.apply(.createAttempt(rig.id, ControlPosition(partition: 1, offset: 2))) == false)
        #expect(rig.machine.attempt == 1)
    }

    @Test(arguments: [QueueRequest.pause, .stop, .terminate])
    func `no attempt is created unless the queue runs`(request: QueueRequest) throws {
        var rig = try StateRig()
        #expect(rig.apply(.createAttempt(rig.id, ControlPosition(partition: 1, offset: 2))) == false)
        rig.apply(.begin)
        rig.request(request)
        #expect(rig.apply(.createAttempt(rig.id, ControlPosition(partition: 1, offset: 2))) == false)
        #expect(rig.queue.attempts.isEmpty)
    }

    @Test func `a later attempt does not begin the instance anew`() throws {
        var rig = try StateRig()
        rig.start()
        let start = rig.now
        rig.say(.error, seq: 2, reason: .retriable)
        rig.now += 250
        rig.look()
        #expect(rig.machine.attempt == 2 && rig.queue.instances[rig.id]?.startedAt == start)
    }

    @Test func `a launch is recorded with what finds the job again`() throws {
        var rig = try StateRig()
        rig.look()
        let handle = JobHandle(launcher: "l", fields: ["pid": "7"])
        #expect(rig.apply(.launched(AttemptID(rig.id, 9), handle)) == false)
        rig.forget()
        #expect(rig.apply(.launched(rig.attempt, handle)) == true)
        #expect(rig.live?.handle == handle && rig.history == ["attempt_launched"])
        #expect(rig.queue.changes.history.first?.detail == ["pid": .string("7")])
    }

    @Test func `the first word about a job's end counts`() throws {
        var rig = try StateRig()
        rig.start()
        #expect(rig.apply(.jobEnded(rig.attempt, eventsEnd: 9, how: "exit 0")) == true)
        #expect(rig.apply(.jobEnded(rig.attempt, eventsEnd: 12, how: "signal 9")) == false)
        #expect(rig.live?.goneOffset == 9 && rig.live?.howEnded == "exit 0" && rig.live?.isGone == false)
        #expect(rig.apply(.jobEnded(AttemptID(rig.id, 9), eventsEnd: 1, how: nil)) == false)
    }

    @Test func `a job that ends after its last word is gone`() throws {
        var rig = try StateRig()
        rig.start()
        rig.say(.finished, seq: 2)
        rig.apply(.jobEnded(rig.attempt, eventsEnd: 9, how: "exit 0"))
        #expect(rig.live?.isGone == true)
    }

    @Test func `a last word after the job ended makes it gone`() throws {
        var rig = try StateRig()
        rig.start()
        rig.apply(.jobEnded(rig.attempt, eventsEnd: 9, how: "exit 0"))
        rig.say(.finished, seq: 2)
        #expect(rig.live?.isGone == true)
    }

    @Test func `a job is gone once`() throws {
        var rig = try StateRig()
        rig.start()
        #expect(rig.apply(.jobGone(rig.attempt)) == true && rig.apply(.jobGone(rig.attempt)) == false)
    }

    @Test func `the lease of an attempt that waits begins anew, of one that ended it does not`() throws {
        var rig = try StateRig.pooled()
        rig.launch()
        rig.now += 50_000
        #expect(rig.apply(.extendLease(rig.attempt)) == true)
        #expect(rig.live?.leaseUntil == rig.now + 60_000)
        rig.say(.finished, seq: 1)
        #expect(rig.apply(.extendLease(rig.attempt)) == false)
    }

    @Test func `a stop is noted as sent once, and only if there is one`() throws {
        var rig = try StateRig()
        rig.start()
        #expect(rig.apply(.stopSent(rig.attempt)) == false)
        rig.request(.pause)
        rig.apply(.suspend(rig.id))
        rig.forget()
        #expect(rig.apply(.stopSent(rig.attempt)) == true && rig.queue.changes.needsLook)
        #expect(rig.apply(.stopSent(rig.attempt)) == false)
    }

    @Test func `only what runs in a paused queue is suspended`() throws {
        var rig = try StateRig()
        rig.start()
        #expect(rig.apply(.suspend(rig.id)) == false)
        rig.request(.pause)
        #expect(rig.apply(.suspend(rig.id)) == true)
        #expect(rig.commands == ["1 BTCUSDT/1 paused"] && rig.live?.stopRequestedAt == rig.now)
        rig.say(.interrupted, seq: 2)
        #expect(rig.apply(.suspend(rig.id)) == false)
    }

    // MARK: Turns of an instance

    @Test func `a lost attempt is told to stop and another one is held back`() throws {
        var rig = try StateRig()
        rig.start()
        rig.forget()
        #expect(
            rig.apply(.input(.lost(attempt: 1, countsAsFailure: true, reason: "gone"), rig.id, stop: "s"))
                == true)
        #expect(rig.machine.state == .waiting && rig.machine.failures == 1)
        #expect(rig.queue.instances[rig.id]?.notBefore == rig.now + 250)
        let attempt = rig.queue.attempts[rig.attempt]
        #expect(attempt?.endedAt == rig.now && attempt?.status == "ended" && attempt?.reason == "gone")
        #expect(rig.commands == ["1 BTCUSDT/1 s"] && rig.history == ["instance_waiting"])
        let detail = rig.queue.changes.history.first?.detail
        #expect(
            detail == [
                "failures": .integer(1), "reason": .string("gone"), "lost": .bool(true),
                "next_attempt_in_ms": .integer(250),
            ])
    }

    @Test func `waits grow with each failure`() throws {
        var rig = try StateRig()
        var waits: [Int64] = []
        for number in 1...4 {
            rig.launch()
            rig.apply(
                .input(.lost(attempt: number, countsAsFailure: true, reason: "gone"), rig.id, stop: nil))
            rig.apply(.jobGone(rig.attempt))
            let wait = (rig.queue.instances[rig.id]?.notBefore ?? 0) - rig.now
            waits.append(wait)
            rig.now += wait
        }
        #expect(waits == [250, 500, 1_000, 2_000])
    }

    @Test func `fails when its attempts are used up`() throws {
        var rig = try StateRig { $0.retry.attemptsMax = 1 }
        rig.start()
        rig.say(.error, seq: 2, reason: .retriable, error: "no")
        #expect(rig.machine.state == .failed && rig.machine.reason == "no (1 of 1 attempts failed)")
        #expect(rig.queue.instances[rig.id]?.finishedAt == rig.now)
    }

    @Test func `what was lost is final where the step says so`() throws {
        var rig = try StateRig { $0.retry.finalReasons = [.lost] }
        rig.start()
        rig.apply(.input(.lost(attempt: 1, countsAsFailure: true, reason: "gone"), rig.id, stop: nil))
        #expect(rig.machine.state == .failed && rig.machine.reason == "gone")
    }

    @Test func `what counts as no failure is never final`() throws {
        var rig = try StateRig { $0.retry.finalReasons = [.lost] }
        rig.start()
        rig.apply(.input(.lost(attempt: 1, countsAsFailure: false, reason: "superseded"), rig.id, stop: nil))
        #expect(rig.machine.state == .waiting)
    }

    @Test func `a worker's retriable error is final where the step says so, a failed launch is not`() throws {
        var rig = try StateRig { $0.retry.finalReasons = [.retriable] }
        rig.launch()
        rig.apply(.input(.failed(attempt: 1, isRetriable: true, reason: "no fork"), rig.id, stop: nil))
        #expect(rig.machine.state == .waiting)
        rig.apply(.jobGone(rig.attempt))
        rig.now += 250
        rig.launch()
        rig.say(.error, seq: 1, attempt: 2, reason: .retriable)
        #expect(rig.machine.state == .failed)
    }

    @Test func `an input for another attempt or instance changes nothing`() throws {
        var rig = try StateRig()
        rig.start()
        rig.forget()
        #expect(
            rig.apply(.input(.lost(attempt: 2, countsAsFailure: true, reason: "r"), rig.id, stop: "s"))
                == false)
        let stranger = InstanceID(step: rig.id.step, instance: "XRPUSDT")
        #expect(rig.apply(.input(.cancel(reason: "r"), stranger, stop: "s")) == false)
        #expect(rig.queue.changes.isEmpty)
    }

    @Test func `commands are numbered, and the first stop is the one that counts`() throws {
        var rig = try StateRig()
        rig.start()
        rig.request(.pause)
        let first = rig.now
        rig.apply(.suspend(rig.id))
        rig.now += 5_000
        rig.apply(.input(.cancel(reason: "stop_requested"), rig.id, stop: "stop_requested"))
        #expect(rig.commands == ["1 BTCUSDT/1 paused", "2 BTCUSDT/1 stop_requested"])
        #expect(rig.live?.stopRequestedAt == first)
    }
}
