import Synchronization
import Workflow

/// Measures how long the engine needs from a final event that it has read to the request for the next job of the
/// same queue: the time in which the place that became free stands empty.
///
/// Ends and requests of a queue are matched first come, first served. An end that nothing follows is forgotten
/// after ``ageMax``.
final class FollowOnClock: Sendable {
    static let ageMax = Duration.seconds(60)
    static let queuesMax = 1_024
    static let endsMax = 4_096

    private let ends = Mutex<[QueueID: [ContinuousClock.Instant]]>([:])

    /// - Parameter count: final events that were read of the queue.
    func read(_ queue: QueueID, count: Int, at time: ContinuousClock.Instant) {
        ends.withLock { ends in
            if ends.count >= Self.queuesMax { ends = [:] }
            var waiting = ends[queue] ?? []
            waiting.removeAll { $0.duration(to: time) > Self.ageMax }
            waiting += Array(repeating: time, count: min(count, Self.endsMax - waiting.count))
            ends[queue] = waiting
        }
    }

    /// - Returns: how long the place stood empty; nil where no end made room for this job.
    func requested(_ queue: QueueID, at time: ContinuousClock.Instant) -> Duration? {
        ends.withLock { ends in
            guard var waiting = ends.removeValue(forKey: queue), !waiting.isEmpty else { return nil }
            let time = waiting.removeFirst().duration(to: time)
            if !waiting.isEmpty { ends[queue] = waiting }
            return time <= Self.ageMax ? time : nil
        }
    }

    /// Nothing follows in this queue any more.
    func forget(_ queue: QueueID) { ends.withLock { $0[queue] = nil } }
}
