import Workflow

extension Reconciler {
    private enum Arrival: Sendable {
        case done(Int, [QueueOperation])
        case news
    }

    /// Carries out the effects of a queue of many instances and looks again when all are done, and also when events
    /// come meanwhile: a place that became free is not kept empty until the slowest request is answered. Whoever
    /// writes such events may do that look, in the same transaction.
    ///
    /// - Returns: the last look; nil when the claim was lost.
    func carryOutStepwise(
        _ first: LookResult, _ lookAgain: @Sendable (LookFollowUp) async throws -> LookResult?
    ) async throws -> LookResult? {
        let claim = first.claim
        stepwise.open(claim, answers: !parts.policy.limits.concern(first.queue.plan))
        let result = await withTaskGroup(of: Arrival.self) { group -> Result<LookResult?, any Error> in
            defer { stepwise.close(claim) }
            var course = Course(current: first)
            func begin() {
                for effect in course.current.plan.effects {
                    let number = course.begin(effect)
                    group.addTask { [queue = course.current.queue] in
                        .done(number, await effects.carryOut(effect, of: queue))
                    }
                }
            }
            func listen() {
                group.addTask {
                    await stepwise.wait(for: claim)
                    return .news
                }
            }
            begin()
            listen()
            while course.isBusy, let arrival = await group.next() {
                switch arrival {
                case .done(let number, let operations):
                    course.end(number, operations)
                    if course.isBusy { continue }
                case .news:
                    let (questions, isTold) = stepwise.take(claim)
                    for question in questions {
                        let followUp = course.takeFollowUp()
                        switch await stepwise.answer(question, with: followUp) {
                        case .looked(let next):
                            course.current = next
                            begin()
                        case .left: course.putBack(followUp)
                        }
                    }
                    listen()
                    guard isTold else { continue }
                }
                do {
                    guard let next = try await lookAgain(course.takeFollowUp()) else { return .success(nil) }
                    announce([next])
                    course.current = next
                    begin()
                } catch {
                    return .failure(error)
                }
            }
            return .success(course.current)
        }
        return try result.get()
    }

    /// Effects that were begun, and what came of those that are done.
    private struct Course {
        /// A busy queue may be held for long: after so many looks its jobs are asked about again.
        private static let touchedLooksMax = 16

        var current: LookResult
        private var underWay: [Int: QueueEffect] = [:]
        private var begun = 0
        private var looks = 0
        private var touched = TouchedEffects()
        private var operations: [QueueOperation] = []

        init(current: LookResult) { self.current = current }

        var isBusy: Bool { !underWay.isEmpty }

        /// - Returns: names the effect for ``end(_:_:)``.
        mutating func begin(_ effect: QueueEffect) -> Int {
            touched.insert(effect)
            begun += 1
            underWay[begun] = effect
            return begun
        }

        mutating func end(_ number: Int, _ operations: [QueueOperation]) {
            underWay[number] = nil
            self.operations += operations
        }

        /// What came of the effects since the last look, for the next one.
        mutating func takeFollowUp() -> LookFollowUp {
            looks += 1
            if looks.isMultiple(of: Self.touchedLooksMax) {
                touched = TouchedEffects()
                for effect in underWay.values { touched.insert(effect) }
            }
            defer { operations = [] }
            return LookFollowUp(
                claim: current.claim, operations: operations, touched: touched, isBusy: isBusy)
        }

        /// There was no look with it.
        mutating func putBack(_ followUp: LookFollowUp) { operations = followUp.operations + operations }
    }
}
