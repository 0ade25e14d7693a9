import Testing
import Workflow

@testable import QueueManager

/// Who is resumed by what, without a store.
struct HeldFollowUpsTests {
    private static func followUp(_ suffix: String) throws -> LookFollowUp {
        LookFollowUp(claim: QueueClaim(queueID: try #require(QueueID("wf-test-\(suffix)")), token: "t"))
    }

    /// Holds a follow-up in a task of its own and returns when it is held.
    private func hold(
        _ followUp: LookFollowUp, _ held: HeldFollowUps
    ) async -> Task<HandedIn.Outcome, Never> {
        let task = Task { await held.hold(followUp) }
        while held.isEmpty { await Task.yield() }
        return task
    }

    private func isLeft(_ outcome: HandedIn.Outcome) -> Bool {
        if case .left = outcome { true } else { false }
    }

    @Test func `what is not taken is left at the second tick`() async throws {
        let held = HeldFollowUps()
        let task = await hold(try Self.followUp("abc123"), held)
        held.tick()
        #expect(!held.isEmpty)
        held.tick()
        #expect(held.isEmpty)
        #expect(isLeft(await task.value))
    }

    @Test func `what is taken is resumed by its taker, and by no tick`() async throws {
        let held = HeldFollowUps()
        let followUp = try Self.followUp("abc123")
        let task = await hold(followUp, held)
        let other = try #require(QueueID("wf-test-abc124"))
        #expect(held.take([other]).isEmpty)
        let taken = held.take([followUp.claim.queueID])
        #expect(taken.map(\.followUp.claim) == [followUp.claim] && held.isEmpty)
        held.tick()
        held.tick()
        for one in taken { one.resume(.left) }
        #expect(isLeft(await task.value))
    }

    @Test func `what comes after its events were written is not held, unless they were looked at`()
        async throws
    {
        let held = HeldFollowUps()
        let followUp = try Self.followUp("abc123")
        #expect(held.take([followUp.claim.queueID]).isEmpty)
        #expect(isLeft(await held.hold(followUp)))
        // Once only: the next launch of this queue is held.
        let next = await hold(followUp, held)
        held.close()
        #expect(isLeft(await next.value))
    }

    @Test func `events that were looked at are not waited for, nor do they let a next launch pass`()
        async throws
    {
        let held = HeldFollowUps()
        let followUp = try Self.followUp("abc123")
        #expect(held.take([followUp.claim.queueID]).isEmpty)
        held.noteLooked([followUp.claim.queueID])
        let task = await hold(followUp, held)
        #expect(!held.isEmpty)
        held.close()
        #expect(isLeft(await task.value))
    }

    @Test func `missed events are forgotten after two ticks`() async throws {
        let held = HeldFollowUps()
        let followUp = try Self.followUp("abc123")
        #expect(held.take([followUp.claim.queueID]).isEmpty)
        held.tick()
        held.tick()
        let task = await hold(followUp, held)
        held.close()
        #expect(isLeft(await task.value))
    }

    @Test func `after the close nothing is held or heard`() async throws {
        let held = HeldFollowUps()
        held.setPartitions([2])
        #expect(held.hears(2) && !held.hears(1))
        let task = await hold(try Self.followUp("abc123"), held)
        held.close()
        #expect(isLeft(await task.value))
        #expect(!held.hears(2))
        #expect(isLeft(await held.hold(try Self.followUp("abc124"))))
    }
}
