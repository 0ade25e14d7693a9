import Testing
import Workflow

@testable import QueueManager

/// Who is resumed by what, without a store.
@Suite(.timeLimit(.minutes(1)))
struct StepwiseClaimsTests {
    private let claims = StepwiseClaims()

    private func claim(_ token: String = "t") throws -> QueueClaim {
        QueueClaim(queueID: try #require(QueueID("wf-step-abc123")), token: token)
    }

    @Test func `what is told before a wait ends it at once, and only once`() async throws {
        let claim = try claim()
        claims.open(claim, answers: true)
        claims.tell([claim.queueID])
        claims.tell([claim.queueID])
        await claims.wait(for: claim)
        #expect(claims.take(claim).isTold)
        #expect(!claims.take(claim).isTold)
        async let second: Void = claims.wait(for: claim)
        claims.tell([claim.queueID])
        await second
        claims.close(claim)
    }

    @Test func `the end of a place ends its wait, and leaves those of other claims`() async throws {
        let (old, new) = (try claim("old"), try claim("new"))
        claims.open(old, answers: true)
        claims.open(new, answers: true)
        async let waited: Void = claims.wait(for: old)
        claims.close(old)
        await waited
        // Nobody is there any more: no wait.
        await claims.wait(for: old)
        claims.tell([new.queueID])
        await claims.wait(for: new)
        claims.close(new)
    }

    @Test func `the newest holder hands its queue in and gets it back with what came of it`() async throws {
        let (old, new) = (try claim("old"), try claim("new"))
        claims.open(old, answers: true)
        claims.open(new, answers: true)
        async let held = claims.ask(for: [new.queueID])
        await claims.wait(for: new)
        let (questions, isTold) = claims.take(new)
        #expect(questions.count == 1 && !isTold)
        let question = try #require(questions.first)
        async let outcome = claims.answer(question, with: LookFollowUp(claim: new))
        let handedIn = await held
        #expect(handedIn.map(\.followUp.claim) == [new])
        for one in handedIn { one.resume(.left) }
        guard case .left = await outcome else {
            Issue.record("it was looked at")
            return
        }
        claims.close(old)
        claims.close(new)
    }

    @Test func `patience ends at the second tick, and what was asked is forgotten`() async throws {
        let (claim, begun) = (try claim(), Recorded<Bool>())
        claims.setOnQuestion { begun.append(true) }
        claims.open(claim, answers: true)
        async let held = claims.ask(for: [claim.queueID])
        await claims.wait(for: claim)
        #expect(begun.all.count == 1 && claims.hasQuestions)
        claims.tick()
        #expect(claims.hasQuestions)
        claims.tick()
        #expect(await held.isEmpty)
        #expect(!claims.hasQuestions && claims.take(claim).questions.isEmpty)
        claims.close(claim)
    }

    @Test func `nobody waits for a holder that has gone, hands nothing in, or never was`() async throws {
        let claim = try claim()
        #expect(await claims.ask(for: [claim.queueID]).isEmpty)
        claims.open(claim, answers: false)
        #expect(await claims.ask(for: [claim.queueID]).isEmpty)
        claims.close(claim)
        claims.open(claim, answers: true)
        async let held = claims.ask(for: [claim.queueID])
        await claims.wait(for: claim)
        claims.close(claim)
        #expect(await held.isEmpty)
        #expect(await claims.ask(for: [claim.queueID]).isEmpty)
    }
}
