import Testing
import Workflow

@testable import QueueManager

struct FollowOnClockTests {
    private let clock = FollowOnClock()
    private let start = ContinuousClock.now

    private func id(_ text: String = "wf-follow-abc123") throws -> QueueID { try #require(QueueID(text)) }

    @Test func `matches ends and requests of a queue first come, first served`() throws {
        let (queue, other) = (try id(), try id("wf-other-abc123"))
        clock.read(queue, count: 1, at: start)
        clock.read(queue, count: 2, at: start + .milliseconds(10))
        let later = start + .milliseconds(15)
        #expect(clock.requested(other, at: later) == nil)
        let waits = (0..<4).map { _ in clock.requested(queue, at: later) }
        #expect(waits == [.milliseconds(15), .milliseconds(5), .milliseconds(5), nil])
    }

    @Test func `an end after which the next look launches nothing made room for nothing`() throws {
        let queue = try id()
        func at(_ milliseconds: Int) -> ContinuousClock.Instant { start + .milliseconds(milliseconds) }
        clock.read(queue, count: 3, at: at(0))
        clock.applied(queue, at: at(10))
        clock.read(queue, count: 1, at: at(12))
        // Began before: it may not have seen them. And what is not applied was seen by nobody.
        clock.looked(queue, began: at(9), launches: 0)
        clock.looked(queue, began: at(11), launches: 2)
        #expect(clock.requested(queue, at: at(20)) == .milliseconds(20))
        #expect(clock.requested(queue, at: at(20)) == .milliseconds(20))
        #expect(clock.requested(queue, at: at(20)) == .milliseconds(8))
        #expect(clock.requested(queue, at: at(20)) == nil)
        clock.read(queue, count: 1, at: at(30))
        clock.applied(queue, at: at(31))
        clock.looked(queue, began: at(31), launches: 0)
        #expect(clock.requested(queue, at: at(40)) == nil)
    }

    @Test func `forgets ends that nothing follows`() throws {
        let queue = try id()
        clock.read(queue, count: 1, at: start)
        #expect(clock.requested(queue, at: start + FollowOnClock.ageMax + .seconds(1)) == nil)
        clock.read(queue, count: 1, at: start)
        clock.forget(queue)
        #expect(clock.requested(queue, at: start) == nil)
    }

    @Test func `keeps a bounded number`() throws {
        let queue = try id()
        clock.read(queue, count: 1_000_000, at: start)
        var count = 0
        while clock.requested(queue, at: start) != nil { count += 1 }
        #expect(count == FollowOnClock.endsMax)
    }
}
