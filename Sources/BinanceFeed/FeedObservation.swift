import Workflow

/// What happened while reading, for logs and metrics.
package enum FeedObservation: Sendable, Equatable {
    /// A page was read; `duration` covers the request and the scan, not the waits before it.
    case pageRead(rowCount: Int, duration: Duration, usedWeight: Int?)
    /// A page of a file of the archive was read.
    case archiveRead(rowCount: Int)
    /// A file of the archive came and fits its checksum.
    case fileRead(byteCount: Int, duration: Duration)
    /// A file could not be used; the REST API is asked instead.
    case filePassedOver(path: String, reason: String)
    /// An attempt failed and another follows after `wait`.
    case retried(attempt: Int, reason: String, wait: Duration)
    /// The exchange asked to stay away.
    case limited(status: Int, wait: Duration)
    /// The weight budget lets a request wait; told at the beginning of each wait.
    case waiting(BudgetWait)
    /// Gate and weight budget held a request back so long.
    case heldBack(Duration)
    /// The exchange has no records there.
    case holeFound(RecordHole)
}
