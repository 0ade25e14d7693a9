import KafkaBridge
import Workflow

/// The stops a pool has read, as many as it keeps, and from which offset on each control partition they are
/// all known.
///
/// An offered attempt that was stopped since its launch must not begin (design decision 2). Stops of the past
/// are looked up here; where this table does not reach back far enough, the gap is read (``ControlGap``).
struct SeenStops {
    struct Stop: Sendable, Equatable {
        var partition: Int32
        var offset: Int64
        var command: ControlCommand
    }

    private let limit: Int
    /// Oldest first; those before `first` are forgotten.
    private var stops: [Stop] = []
    private var first = 0
    private var byQueue: [QueueID: [Stop]] = [:]
    private var coveredFrom: [Int32: Int64] = [:]

    /// - Parameter limit: more stops than this push out the oldest.
    init(limit: Int = 10_000) { self.limit = limit }

    var count: Int { stops.count - first }

    /// From this offset on every stop of the partition will be noted.
    mutating func cover(_ partition: Int32, from offset: Int64) { coveredFrom[partition] = offset }

    /// What is not covered of the partition from `offset` on; nil: nothing.
    func gap(_ partition: Int32, from offset: Int64) -> Range<Int64>? {
        guard let covered = coveredFrom[partition], offset < covered else { return nil }
        return offset..<covered
    }

    mutating func note(_ stop: Stop) {
        stops.append(stop)
        byQueue[stop.command.queueID, default: []].append(stop)
        if count > limit { forgetOldest() }
    }

    /// Takes in what was read of a gap, unless it would push out what is newer.
    mutating func fill(_ partition: Int32, _ gap: Range<Int64>, with found: [Stop]) {
        guard coveredFrom[partition] == gap.upperBound, count + found.count <= limit else { return }
        coveredFrom[partition] = gap.lowerBound
        for stop in found { note(stop) }
    }

    /// Whether a stop since `offset` ends the attempt before it began.
    ///
    /// - Parameter more: stops of a gap that were not taken in.
    func endsBeforeStart(_ offer: PoolOffer, since offset: Int64, _ more: [Stop] = []) -> Bool {
        var filter = CommandFilter(queueID: offer.queueID, instance: offer.id, attempt: offer.attempt)
        let known = (byQueue[offer.queueID] ?? []) + more
        for stop in known.sorted(by: { $0.offset < $1.offset }) where stop.offset >= offset {
            if case .stop = filter.apply(stop.command) { return true }
        }
        return false
    }

    private mutating func forgetOldest() {
        let oldest = stops[first]
        first += 1
        coveredFrom[oldest.partition] = max(coveredFrom[oldest.partition] ?? 0, oldest.offset + 1)
        let queue = oldest.command.queueID
        byQueue[queue]?.removeAll { $0 == oldest }
        if byQueue[queue]?.isEmpty == true { byQueue[queue] = nil }
        // Moved together now and then instead of at each step.
        if first > limit {
            stops.removeFirst(first)
            first = 0
        }
    }
}
