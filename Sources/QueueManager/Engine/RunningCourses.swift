import Synchronization
import Workflow

/// A course that its holder and the event reader share.
final class RunningCourse: Sendable {
    /// One after each change that may bring a next move.
    let changes: AsyncStream<Void>
    private let course: Mutex<EffectCourse>
    private let change: AsyncStream<Void>.Continuation

    init(_ first: LookResult) {
        course = Mutex(EffectCourse(first))
        (changes, change) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    var current: LookResult { course.withLock { $0.current } }

    func move() -> EffectCourse.Move { course.withLock { $0.move() } }
    func handIn() -> LookFollowUp? { course.withLock { $0.handIn() } }

    func end(_ number: Int, _ operations: [QueueOperation]) {
        course.withLock { $0.end(number, operations) }
        change.yield()
    }

    func tell() {
        course.withLock { $0.tell() }
        change.yield()
    }

    func looked(_ result: LookResult) {
        course.withLock { $0.looked(result) }
        change.yield()
    }

    func left(_ followUp: LookFollowUp) {
        course.withLock { $0.left(followUp) }
        change.yield()
    }
}

/// The courses of the queues that a reconciler holds; bounded by its claims.
final class RunningCourses: Sendable {
    /// A course whose holder waits for a look with the queue's events; it must be resumed once.
    struct HandedIn: Sendable {
        let followUp: LookFollowUp
        fileprivate let course: RunningCourse

        /// - Parameter result: nil when nobody has looked.
        func resume(_ result: LookResult?) {
            if let result { course.looked(result) } else { course.left(followUp) }
        }
    }

    private let courses = Mutex<[QueueID: [String: RunningCourse]]>([:])

    func open(_ claim: QueueClaim, _ course: RunningCourse) {
        courses.withLock { $0[claim.queueID, default: [:]][claim.token] = course }
    }

    func close(_ claim: QueueClaim) {
        courses.withLock { courses in
            courses[claim.queueID]?[claim.token] = nil
            if courses[claim.queueID]?.isEmpty == true { courses[claim.queueID] = nil }
        }
    }

    /// Those of the given queues that no look is under way of; each must be resumed.
    func handIn(_ queues: some Sequence<QueueID>) -> [HandedIn] {
        find(queues).compactMap { course in
            course.handIn().map { HandedIn(followUp: $0, course: course) }
        }
    }

    func tell(_ queues: some Sequence<QueueID>) {
        for course in find(queues) { course.tell() }
    }

    private func find(_ queues: some Sequence<QueueID>) -> [RunningCourse] {
        courses.withLock { courses in queues.flatMap { courses[$0].map { Array($0.values) } ?? [] } }
    }
}
