import Testing
import Workflow

@testable import QueueManager

/// What a look decides, line by line: from the start of a queue to the end of its attempts.
struct LookPlannerTests {
    private static let work = "work[BTCUSDT]/1"

    // MARK: Begin and launch

    @Test func `a queue without topics runs and creates its attempt in its first look`() throws {
        var rig = try StateRig()
        let looked = rig.look()
        #expect(looked.effects == ["launch \(Self.work)"] && looked.lookAgain == 500)
        #expect(rig.queue.status == .running && rig.machine.state == .starting)
        #expect(rig.live?.launchToken == "look" && rig.live?.control == rig.control)
    }

    @Test func `a queue with topics creates them first, once a claim`() throws {
        var rig = try StateRig(.loaderAPICandles)
        #expect(rig.look().effects == ["create topics"])
        #expect(rig.queue.status == .pending && rig.queue.attempts.isEmpty)
        rig.touched.insert(.createTopics)
        let again = rig.look()
        #expect(again.effects.isEmpty && again.lookAgain == 1_000)
        rig.apply(.begin)
        #expect(rig.look().effects == ["launch store[BTCUSDT]/1", "launch \(Self.work)"])
    }

    @Test func `without the broker nothing is launched`() throws {
        var rig = try StateRig()
        rig.control = nil
        let looked = rig.look()
        #expect(looked.effects.isEmpty && looked.lookAgain == 1_000)
        #expect(rig.queue.status == .running && rig.queue.attempts.isEmpty)
    }

    @Test func `a look launches no more than it may and goes on at once`() throws {
        var rig = try StateRig.pooled(symbols: ["A", "B", "C"])
        // A round of a look is bounded, and so is a look: rounds are repeated until nothing changes.
        rig.policy.launchesMax = 0
        let looked = rig.look()
        #expect(looked.effects.isEmpty && looked.lookAgain == 1)
        rig.policy.launchesMax = 64
        #expect(rig.look().effects.count == 3)
    }

    @Test func `a retry is launched when its time has come`() throws {
        var rig = try StateRig()
        rig.start()
        rig.say(.error, seq: 2, reason: .retriable)
        rig.apply(.jobGone(rig.attempt))
        let early = rig.look()
        #expect(early.effects.isEmpty && early.lookAgain == 250)
        rig.now += 250
        #expect(rig.look().effects == ["launch work[BTCUSDT]/2"])
    }

    // MARK: Uncertain launches

    @Test func `a launch that may be repeated is asked for again`() throws {
        var rig = try StateRig()
        rig.look()
        rig.token = "later look"
        #expect(rig.look().effects == ["launch \(Self.work)"])
        #expect(rig.machine.attempt == 1)
    }

    @Test func `a launch of this claim is not asked for twice`() throws {
        for var rig in [try StateRig(), try StateRig.pooled()] {
            rig.look()
            rig.touched.insert(.launch(rig.attempt))
            let looked = rig.look()
            #expect(looked.effects.isEmpty && (looked.lookAgain ?? .max) <= 1_000)
            #expect(rig.machine.state == .starting)
        }
    }

    @Test func `an offer that another look may have made is given up without a failure`() throws {
        var rig = try StateRig.pooled()
        rig.look()
        rig.token = "later look"
        let looked = rig.look()
        #expect(rig.machine.state == .waiting && rig.machine.failures == 0)
        #expect(rig.machine.reason == "nobody knows whether it was offered")
        #expect(rig.commands == ["1 BTCUSDT/1 attempt_lost"])
        #expect(looked.effects.isEmpty && looked.lookAgain == 1_000)
    }

    @Test func `an offer that was stopped before it was recorded is given up`() throws {
        var rig = try StateRig.pooled()
        rig.look()
        rig.request(.pause)
        rig.look()
        #expect(rig.machine.state == .waiting && rig.machine.failures == 0)
    }

    @Test func `a process that was stopped before its launch was recorded is killed`() throws {
        var rig = try StateRig()
        rig.look()
        rig.request(.pause)
        let looked = rig.look()
        #expect(looked.effects == ["kill \(Self.work)"])
        for operation in looked.outcomes.joined() { rig.apply(operation) }
        #expect(rig.machine.state == .waiting && rig.machine.failures == 0)
        #expect(rig.machine.reason == "it was stopped before its launch")
        #expect(rig.queue.attempts.values.allSatisfy { $0.isGone })
    }

    // MARK: Watching

    @Test func `a process is looked at, once a claim`() throws {
        var rig = try StateRig()
        rig.start()
        let looked = rig.look()
        #expect(looked.effects == ["observe \(Self.work)"] && looked.lookAgain == 500)
        rig.touched.insert(.observe(rig.attempt, ifRunning: []))
        #expect(rig.look().effects.isEmpty)
    }

    @Test func `a pool's attempt is left alone until its lease may be over`() throws {
        var rig = try StateRig.pooled()
        rig.start()
        let looked = rig.look()
        #expect(looked.effects.isEmpty && looked.lookAgain == 31_000)
    }

    // MARK: Leases

    @Test func `a lease counts only up to where everything was read`() throws {
        var rig = try StateRig()
        rig.start()
        let end = rig.now + 30_000
        rig.now += 90_000
        rig.look()
        #expect(rig.machine.state == .running)
        rig.caughtUpAt = end
        rig.look()
        #expect(rig.machine.state == .running)
        rig.caughtUpAt = end + 1
        rig.look()
        #expect(rig.machine.state == .waiting && rig.machine.reason == "its lease ran out")
        #expect(rig.machine.failures == 1 && rig.commands == ["1 BTCUSDT/1 attempt_lost"])
    }

    @Test func `a lease does not run while nobody could read`() throws {
        var rig = try StateRig()
        rig.start()
        let end = rig.now + 30_000
        (rig.now, rig.caughtUpAt, rig.blind) = (end + 40_000, end + 40_000, 40_000)
        rig.look()
        #expect(rig.machine.state == .running)
        rig.caughtUpAt = end + 40_001
        rig.look()
        #expect(rig.machine.state == .waiting)
    }

    @Test func `a heartbeat renews the lease`() throws {
        var rig = try StateRig()
        rig.start()
        rig.now += 29_000
        rig.say(.loading, seq: 2)
        (rig.now, rig.caughtUpAt) = (rig.now + 29_000, rig.now + 29_000)
        rig.look()
        #expect(rig.machine.state == .running)
    }

    @Test func `an attempt has its own limit to start`() throws {
        var rig = try StateRig { $0.startTimeoutSeconds = 5 }
        rig.launch()
        (rig.now, rig.caughtUpAt) = (rig.now + 5_001, rig.now + 5_001)
        rig.look()
        #expect(rig.machine.reason == "its lease ran out")
    }

    @Test func `a step has its own limit between heartbeats`() throws {
        var rig = try StateRig { $0.heartbeatTimeoutSeconds = 2 }
        rig.start()
        (rig.now, rig.caughtUpAt) = (rig.now + 2_001, rig.now + 2_001)
        rig.look()
        #expect(rig.machine.reason == "its lease ran out")
    }

    @Test func `a job that may wait for a free worker is asked for before it is lost`() throws {
        var rig = try StateRig.pooled()
        rig.launch()
        (rig.now, rig.caughtUpAt) = (rig.now + 60_001, rig.now + 60_001)
        let looked = rig.look()
        #expect(looked.effects == ["observe \(Self.work) or lose it"] && looked.lookAgain == 1_000)
        #expect(rig.machine.state == .starting)
        // It waits: its lease begins anew.
        var waiting = rig
        waiting.apply(.extendLease(waiting.attempt))
        #expect(waiting.look().effects.isEmpty)
        // It was taken: whoever took it said nothing.
        for operation in looked.outcomes.joined() { rig.apply(operation) }
        #expect(rig.machine.state == .waiting && rig.machine.reason == "its lease ran out")
    }

    @Test func `a pool's worker that fell silent is lost without asking`() throws {
        var rig = try StateRig.pooled()
        rig.start()
        (rig.now, rig.caughtUpAt) = (rig.now + 30_001, rig.now + 30_001)
        let looked = rig.look()
        #expect(looked.effects.isEmpty && rig.machine.reason == "its lease ran out")
    }
}
