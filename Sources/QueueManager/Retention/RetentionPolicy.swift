/// How long finished work is kept. Nothing of a queue that is not over, or whose topics are still there, is
/// ever touched.
package struct RetentionPolicy: Sendable {
    /// A queue's events are deleted this many days after its end; nil: with the queue.
    package var historyKeepDays: Int?
    /// A queue is deleted this many days after its end; nil: never.
    package var queuesKeepDays: Int?
    /// Queues are written here before anything of them is deleted; nil: they are not.
    package var archiveDirectory: String?

    /// Rows deleted by one statement: short transactions hold up nobody.
    package var rowsMax = 500
    /// Queues looked at together.
    package var queuesMax = 50
    /// Between batches, so that others get the disk.
    package var pause = Duration.milliseconds(50)
    /// Between rounds.
    package var interval = Duration.seconds(600)
    /// A statement that meets a lock gives up and is tried in the next round.
    package var lockWait = Duration.seconds(1)

    package init(historyKeepDays: Int?, queuesKeepDays: Int?, archiveDirectory: String?) {
        self.historyKeepDays = historyKeepDays
        self.queuesKeepDays = queuesKeepDays
        self.archiveDirectory = archiveDirectory
    }

    /// The first phase deletes histories; a queue passes it before it goes.
    var historyDays: Int? {
        guard let queues = queuesKeepDays else { return historyKeepDays }
        return min(historyKeepDays ?? queues, queues)
    }
}
