import Workflow

extension Reconciler {
    /// Carries out the effects of a queue of many instances and looks again when all are done, and also when events
    /// came meanwhile: a place that became free is not kept empty until the slowest request is answered.
    ///
    /// - Returns: the last look; nil when the claim was lost.
    func carryOutStepwise(
        _ first: LookResult, _ lookAgain: @Sendable (LookFollowUp) async throws -> LookResult?
    ) async throws -> LookResult? {
        let course = RunningCourse(first)
        courses.open(first.claim, course)
        let result = await withTaskGroup(of: Void.self) { group -> Result<LookResult?, any Error> in
            defer { courses.close(first.claim) }
            var changes = course.changes.makeAsyncIterator()
            while true {
                switch course.move() {
                case .over: return .success(course.current)
                case .begin(let begun, let queue):
                    for (number, effect) in begun {
                        group.addTask { course.end(number, await effects.carryOut(effect, of: queue)) }
                    }
                case .look(let followUp):
                    do {
                        guard let next = try await lookAgain(followUp) else { return .success(nil) }
                        announce([next])
                        course.looked(next)
                    } catch {
                        return .failure(error)
                    }
                case .wait:
                    guard await changes.next() != nil else { return .failure(CancellationError()) }
                }
            }
        }
        return try result.get()
    }
}
