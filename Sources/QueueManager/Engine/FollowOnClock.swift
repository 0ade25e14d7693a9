import Synchronization
import Workflow

/// Measures how long the engine needs from a final event that it has read to the request for the next job of the
/// same queue: the time in which the place that became free stands empty.
///
/// Ends and requests of a queue are matched first come, first served. An end made room for a job only if the first
/// look that saw it launches one: after any other it is forgotten, and after ``ageMax`` in any case.
final class FollowOnClock: Sendable {
    static let ageMax = Duration.seconds(60)
    static let queuesMax = 1_024
    static let endsMax = 4_096

    private struct End {
        var readAt: ContinuousClock.Instant
        /// When its transaction was committed; nil before.
        var appliedAt: ContinuousClock.Instant?
    }

    private let ends = Mutex<[QueueID: [End]]>([:])

    /// - Parameter count: final events that were read of the queue, and are applied next.
    func read(_ queue: QueueID, count: Int, at time: ContinuousClock.Instant) {
        ends.withLock { ends in
            if ends.count >= Self.queuesMax { ends = [:] }
            var waiting = ends[queue] ?? []
            waiting.removeAll { $0.readAt.duration(to: time) > Self.ageMax }
            waiting += Array(repeating: End(readAt: time), count: min(count, Self.endsMax - waiting.count))
            ends[queue] = waiting
        }
    }

    /// All that was read of the queue is applied: looks that begin from now on see it.
    func applied(_ queue: QueueID, at time: ContinuousClock.Instant) {
        ends.withLock { ends in
            for index in ends[queue]?.indices ?? 0..<0 where ends[queue]?[index].appliedAt == nil {
                ends[queue]?[index].appliedAt = time
            }
        }
    }

    /// A look is over that began at this time; to be told before what it launches is asked for.
    func looked(_ queue: QueueID, began time: ContinuousClock.Instant, launches: Int) {
        ends.withLock { ends in
            guard let waiting = ends.removeValue(forKey: queue) else { return }
            var launchesLeft = launches
            let kept = waiting.filter { end in
                guard let appliedAt = end.appliedAt, appliedAt <= time else { return true }
                launchesLeft -= 1
                return launchesLeft >= 0
            }
            if !kept.isEmpty { ends[queue] = kept }
        }
    }

    /// - Returns: how long the place stood empty; nil where no end made room for this job.
    func requested(_ queue: QueueID, at time: ContinuousClock.Instant) -> Duration? {
        ends.withLock { ends in
            guard var waiting = ends.removeValue(forKey: queue), !waiting.isEmpty else { return nil }
            let time = waiting.removeFirst().readAt.duration(to: time)
            if !waiting.isEmpty { ends[queue] = waiting }
            return time <= Self.ageMax ? time : nil
        }
    }

    /// Nothing follows in this queue any more, or what was read could not be applied and is read again.
    func forget(_ queue: QueueID) { ends.withLock { $0[queue] = nil } }
}
