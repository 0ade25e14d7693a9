import BinanceFeed
import Workflow

/// How far an instance is, over all its attempts: what is committed, and nothing else.
package struct LoadProgress: Sendable, Equatable {
    /// The last `sf-seq`: records read and written.
    package var lastSeq: Int64 = 0
    package var firstKey: String?
    package var lastKey: String?
    /// Holes that this attempt met, at most ``LoadLimits/holesMax``; neighbours are one.
    package var holes: [RecordHole] = []
    /// Holes that found no room in the list.
    package var holesLeftOut = 0
    /// Transactions this attempt committed.
    package var transactions = 0

    package init() {}

    package var counts: InstanceCounts {
        InstanceCounts(
            recordsRead: lastSeq, recordsWritten: lastSeq, lastKey: lastKey,
            lastSeq: lastSeq == 0 ? nil : lastSeq)
    }

    var endMarker: EndMarker { EndMarker(count: lastSeq, firstKey: firstKey, lastKey: lastKey) }

    mutating func add(_ found: [RecordHole], holesMax: Int) {
        for hole in found {
            if let last = holes.last, last.to == hole.from, holesLeftOut == 0 {
                holes[holes.count - 1] = RecordHole(
                    from: last.from, to: hole.to, recordCount: last.recordCount + hole.recordCount)
            } else if holes.count < holesMax {
                holes.append(hole)
            } else {
                holesLeftOut += 1
            }
        }
    }
}

/// What became of a load.
package enum LoadOutcome: Sendable, Equatable {
    /// The end marker is committed, by this attempt or an earlier one.
    case finished
    /// Asked to stop; what was in hand is committed.
    case interrupted
    /// A newer producer has the partition.
    case superseded
    case failed(LoadError)
}
