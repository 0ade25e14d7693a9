import Testing
import Workflow

@testable import QueueManager

/// When the holder of a queue looks again, and what a look of somebody else is told.
struct EffectCourseTests {
    private let first: LookResult
    private let one: AttemptID
    private let two: AttemptID

    init() throws {
        let rig = try StateRig(symbols: ["A", "B"])
        one = AttemptID(rig.queue.plan.instances[0], 1)
        two = AttemptID(rig.queue.plan.instances[1], 1)
        first = LookResult(
            claim: QueueClaim(queueID: rig.queue.queueID, token: "t"), queue: rig.queue,
            plan: Self.plan(.launch(one), .launch(two)))
    }

    private static func plan(_ effects: QueueEffect..., isBusy: Bool = false) -> LookPlan {
        var plan = LookPlan()
        plan.effects = effects
        plan.isBusy = isBusy
        return plan
    }

    private func result(_ plan: LookPlan) -> LookResult {
        LookResult(claim: first.claim, queue: first.queue, plan: plan)
    }

    /// What a move is, in words.
    private func words(_ move: EffectCourse.Move) -> String {
        switch move {
        case .wait: "wait"
        case .begin(let begun, _): "begin \(begun.map(\.number))"
        case .look(let followUp):
            "look after \(followUp.operations.count)" + (followUp.isBusy ? ", busy" : "")
        case .over: "over"
        }
    }

    @Test func `it looks again when all is done, and is over when nothing is left to do`() {
        var course = EffectCourse(first)
        #expect(words(course.move()) == "begin [1, 2]")
        #expect(words(course.move()) == "wait")
        course.end(1, [.jobGone(one)])
        #expect(words(course.move()) == "wait")
        course.end(2, [.jobGone(two)])
        #expect(words(course.move()) == "look after 2")
        // One look at a time.
        #expect(words(course.move()) == "wait" && course.handIn() == nil)
        course.looked(result(Self.plan()))
        #expect(words(course.move()) == "over")
    }

    @Test func `news bring a look while effects are under way, and what was begun stays touched`() {
        var course = EffectCourse(first)
        _ = course.move()
        course.end(1, [.jobGone(one)])
        course.tell()
        guard case .look(let followUp) = course.move() else {
            Issue.record("it did not look")
            return
        }
        #expect(followUp.isBusy && followUp.operations.count == 1)
        #expect(followUp.touched.attempts == [one, two])
        // What comes meanwhile is for the next look.
        course.tell()
        course.end(2, [.jobGone(two)])
        course.looked(result(Self.plan(isBusy: true)))
        #expect(words(course.move()) == "begin []")
        #expect(words(course.move()) == "look after 1")
    }

    @Test func `a look of somebody else takes what came of the effects, and its effects are begun here`() {
        var course = EffectCourse(first)
        #expect(course.handIn() == nil)
        _ = course.move()
        course.end(1, [.jobGone(one)])
        #expect(course.handIn()?.operations.count == 1)
        course.tell()
        #expect(words(course.move()) == "wait" && course.handIn() == nil)
        course.looked(result(Self.plan(.launch(one), isBusy: true)))
        #expect(words(course.move()) == "begin [3]")
        #expect(words(course.move()) == "look after 0, busy")
    }

    @Test func `what nobody has written is written by the next look, in its order`() throws {
        var course = EffectCourse(first)
        _ = course.move()
        course.end(1, [.jobGone(one)])
        let taken = course.handIn()
        let handedIn = try #require(taken)
        course.end(2, [.jobGone(two)])
        course.left(handedIn)
        guard case .look(let followUp) = course.move() else {
            Issue.record("it did not look")
            return
        }
        let gone = followUp.operations.map { if case .jobGone(let id) = $0 { id } else { nil as AttemptID? } }
        #expect(gone == [one, two] && !followUp.isBusy)
    }

    @Test func `a claim that was kept for what has ended meanwhile is looked at once more`() {
        var course = EffectCourse(first)
        _ = course.move()
        course.end(1, [])
        #expect(course.handIn() != nil)
        course.end(2, [.jobGone(two)])
        course.looked(result(Self.plan(isBusy: true)))
        #expect(words(course.move()) == "begin []")
        #expect(words(course.move()) == "look after 1")
    }

    @Test func `now and then jobs are asked about again, but not those whose effects are under way`() {
        var course = EffectCourse(first)
        _ = course.move()
        course.end(1, [])
        var touched: [Set<AttemptID>] = []
        for _ in 0..<17 {
            course.tell()
            if case .look(let followUp) = course.move() { touched.append(followUp.touched.attempts) }
            course.looked(result(Self.plan(isBusy: true)))
            _ = course.move()
        }
        #expect(touched[14] == [one, two] && touched[15] == [two])
    }
}
