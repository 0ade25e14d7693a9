import Testing
import Workflow

@testable import QueueManager

/// What a look decides, line by line: how attempts and queues end.
struct LookPlannerEndTests {
    private static let work = "work[BTCUSDT]/1"

    // MARK: A job ended by itself

    @Test func `a job that is gone is lost only after its last events were read`() throws {
        var rig = try StateRig()
        rig.start()
        rig.apply(.jobEnded(rig.attempt, eventsEnd: 10, how: "signal 9"))
        rig.applied = 9
        let early = rig.look()
        #expect(early.effects.isEmpty && early.lookAgain == 500 && rig.machine.state == .running)
        rig.applied = 10
        rig.look()
        #expect(rig.machine.state == .waiting && rig.machine.failures == 1)
        #expect(rig.machine.reason == "its process ended (signal 9) without a final event")
        #expect(rig.queue.attempts[AttemptID(rig.id, 1)]?.isGone == true)
    }

    @Test func `a job whose final event was read meanwhile is not lost`() throws {
        var rig = try StateRig()
        rig.start()
        rig.apply(.jobEnded(rig.attempt, eventsEnd: 10, how: "exit 0"))
        rig.say(.finished, seq: 2)
        rig.applied = 10
        rig.look()
        #expect(rig.queue.status == .finished && rig.queue.isCleaned)
    }

    @Test func `a worker that refused its settings is not tried again`() throws {
        var rig = try ended(how: "exit 10")
        rig.look()
        #expect(rig.machine.state == .failed)
        #expect(rig.machine.reason == "its settings were refused (exit 10): see its log")
    }

    @Test func `a superseded worker uses up no attempt`() throws {
        var rig = try ended(how: "exit 4")
        // No next attempt yet, which would begin at once.
        rig.control = nil
        rig.look()
        #expect(rig.machine.state == .waiting && rig.machine.failures == 0)
        #expect(rig.machine.reason == "it was superseded")
    }

    @Test func `a worker that was told to stop and had to be ended did not fail`() throws {
        var rig = try StateRig()
        rig.start()
        rig.request(.pause)
        rig.look()
        rig.apply(.jobEnded(rig.attempt, eventsEnd: 0, how: "killed"))
        rig.look()
        #expect(rig.machine.state == .waiting && rig.machine.failures == 0)
    }

    private func ended(how: String) throws -> StateRig {
        var rig = try StateRig()
        rig.start()
        rig.apply(.jobEnded(rig.attempt, eventsEnd: 0, how: how))
        return rig
    }

    // MARK: Stops

    @Test func `a pause stops each attempt once and launches none`() throws {
        var rig = try StateRig()
        rig.start()
        rig.request(.pause)
        rig.look()
        rig.look()
        #expect(rig.commands == ["1 BTCUSDT/1 paused"])
        rig.say(.interrupted, seq: 2)
        rig.apply(.jobGone(rig.attempt))
        let looked = rig.look()
        #expect(looked.effects.isEmpty && looked.lookAgain == nil && rig.machine.state == .waiting)
        rig.request(.resume)
        #expect(rig.look().effects == ["launch work[BTCUSDT]/2"])
    }

    @Test func `a process that does not hear its stop is killed, and its last events are read`() throws {
        var rig = try StateRig()
        rig.start()
        rig.request(.stop)
        rig.look()
        rig.sendStops()
        rig.now += 20_000
        #expect(rig.look().effects == ["observe \(Self.work)"])
        rig.now += 1
        #expect(rig.look().effects == ["kill \(Self.work) and read on"])
        rig.touched.insert(.kill(rig.attempt, then: nil))
        #expect(rig.look().effects.isEmpty)
    }

    @Test func `a pool's attempt that does not hear its stop is given up`() throws {
        var rig = try StateRig.pooled()
        rig.start()
        rig.request(.stop)
        #expect(rig.look().lookAgain == 20_001)
        rig.sendStops()
        rig.now += 20_001
        rig.look()
        #expect(rig.machine.state == .interrupted && rig.queue.status == .stopped)
        #expect(rig.queue.isCleaned)
    }

    @Test func `a terminated process is killed at once`() throws {
        var rig = try StateRig()
        rig.start()
        rig.request(.terminate)
        let looked = rig.look()
        #expect(looked.effects == ["kill \(Self.work)"])
        for operation in looked.outcomes.joined() { rig.apply(operation) }
        rig.look()
        #expect(rig.queue.status == .stopped && rig.queue.isCleaned)
    }

    @Test func `a terminated attempt of a pool is given up at once, and told`() throws {
        var rig = try StateRig.pooled()
        rig.start()
        rig.request(.terminate)
        rig.look()
        #expect(rig.queue.status == .stopped && !rig.queue.isCleaned)
        #expect(rig.commands.first == "1 BTCUSDT/1 attempt_lost")
        rig.sendStops()
        rig.look()
        #expect(rig.queue.isCleaned)
    }

    @Test func `what waits is interrupted by a stop without an attempt`() throws {
        var rig = try StateRig()
        rig.control = nil
        rig.look()
        rig.request(.stop)
        rig.look()
        #expect(rig.machine.state == .interrupted && rig.machine.attempt == 0)
        #expect(rig.queue.status == .stopped && rig.commands.isEmpty)
    }

    // MARK: The successor

    @Test func `the next attempt waits until the stop of the last one was sent`() throws {
        for var rig in [try StateRig(), try StateRig.pooled()] {
            rig.start()
            (rig.now, rig.caughtUpAt) = (rig.now + 30_001, rig.now + 30_001)
            rig.look()
            rig.now += 250
            let held = rig.look()
            #expect(rig.machine.attempt == 1 && (held.lookAgain ?? .max) <= 1_000)
            #expect(rig.queue.attempts[rig.attempt]?.isGone == false)
            rig.apply(.stopSent(rig.attempt))
            #expect(rig.look().effects.contains("launch work[BTCUSDT]/2"))
        }
    }

    @Test func `the next attempt need not wait for a worker that has gone by itself`() throws {
        var rig = try StateRig.pooled()
        rig.start()
        rig.request(.pause)
        rig.look()
        rig.say(.interrupted, seq: 2)
        rig.request(.resume)
        #expect(rig.look().effects == ["launch work[BTCUSDT]/2"])
    }

    // MARK: An attempt has said its last word

    @Test func `a process that has said its last word may take a moment to leave`() throws {
        var rig = try StateRig()
        rig.start()
        rig.say(.finished, seq: 2)
        let looked = rig.look()
        #expect(rig.queue.status == .finished && !rig.queue.isCleaned)
        #expect(looked.effects == ["observe \(Self.work)"] && looked.lookAgain == 500)
        rig.now += 20_001
        let late = rig.look()
        #expect(late.effects == ["kill \(Self.work)"])
        for operation in late.outcomes.joined() { rig.apply(operation) }
        rig.look()
        #expect(rig.queue.isCleaned)
    }

    @Test func `a process that spoke before its launch was recorded is ended by its name`() throws {
        var rig = try StateRig()
        rig.look()
        rig.say(.finished, seq: 1)
        #expect(rig.look().effects == ["kill \(Self.work)"])
    }

    @Test func `nobody asks for a pool's attempt that has said its last word`() throws {
        var rig = try StateRig.pooled()
        rig.start()
        rig.say(.finished, seq: 2)
        let looked = rig.look()
        #expect(looked.effects.isEmpty && looked.lookAgain == nil && rig.queue.isCleaned)
    }

    // MARK: Topics

    @Test func `topics are deleted when every attempt is gone`() throws {
        var rig = try finishedLoad()
        #expect(rig.look().effects.allSatisfy { $0.hasPrefix("observe") })
        #expect(rig.queue.status == .finished)
        for id in rig.queue.attempts.keys { rig.apply(.jobGone(id)) }
        #expect(rig.look().effects == ["delete topics"])
        rig.touched.insert(.deleteTopics)
        let touched = rig.look()
        #expect(touched.effects.isEmpty && touched.lookAgain == 1_000)
        rig.apply(.cleaned)
        let done = rig.look()
        #expect(done.effects.isEmpty && done.lookAgain == nil)
    }

    @Test func `topics are kept as long as they should be`() throws {
        var rig = try finishedLoad()
        rig.policy.topicKeep = .seconds(60)
        rig.look()
        for id in rig.queue.attempts.keys { rig.apply(.jobGone(id)) }
        rig.now += 1_000
        let looked = rig.look()
        #expect(looked.effects.isEmpty && looked.lookAgain == 59_000)
        rig.now += 59_000
        #expect(rig.look().effects == ["delete topics"])
    }

    /// A loader and its reader have said `finished`, with the same counts.
    private func finishedLoad() throws -> StateRig {
        var rig = try StateRig(.loaderAPICandles)
        rig.apply(.begin)
        rig.look()
        for id in rig.queue.plan.instances {
            rig.apply(.launched(AttemptID(id, 1), JobHandle(launcher: "quiet", fields: [:])))
            let event = QueueEvent(
                status: .finished, queueID: rig.queue.queueID, step: id.step, instance: id.instance,
                attempt: 1, seq: 1, producer: "p", workerID: "w", symbol: id.instance, type: "t",
                message: "m", counts: InstanceCounts(recordsRead: 5, recordsWritten: 5), timestamp: 1)
            #expect(rig.queue.apply(event, rig.context) == true)
        }
        return rig
    }

    // MARK: Time-outs of the plan

    @Test func `a look comes again when a limit of the plan is reached`() throws {
        var rig = try StateRig.pooled { $0.timeoutSeconds = 10 }
        rig.start()
        #expect(rig.look().lookAgain == 10_000)
        rig.now += 10_000
        rig.look()
        #expect(rig.commands == ["1 BTCUSDT/1 timed_out"] && !rig.machine.isWanted)
        rig.say(.interrupted, seq: 2)
        rig.look()
        #expect(rig.queue.status == .failed && rig.machine.state == .interrupted)
    }
}
