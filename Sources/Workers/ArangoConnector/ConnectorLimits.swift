import Workflow

/// The bounds a connector keeps to.
package struct ConnectorLimits: Sendable {
    package static let deadLettersDefault = Int64(PlannedStep.deadLettersDefault)

    /// A batch is stored when it holds this many documents or bytes, or when the first of its records has
    /// waited this long.
    package var batchRecordsMax = 10_000
    package var batchBytesMax = 4 << 20
    package var batchWait = Duration.milliseconds(200)
    /// More dead letters than this end the step.
    package var deadLettersMax: Int64 = ConnectorLimits.deadLettersDefault
    /// How long a store that does not answer is tried before the attempt fails.
    package var storeRetry = Duration.seconds(60)
    package var storeBackoffInitial = Duration.milliseconds(100)
    package var storeBackoffMax = Duration.seconds(5)
    /// How long writes may be held back because no heartbeat gets through.
    package var leaseWait = Duration.seconds(300)
    /// How long the store may take to show all documents of the range.
    package var confirmWait = Duration.seconds(5)
    /// Records taken from the consumer at once.
    package var pollRecordsMax = 1_000

    package init() {}

    /// Whether a stream with this many dead letters has to fail.
    ///
    /// - Parameter records: how many records the stream has, once that is known. A step that keeps the
    ///   default also fails when more than one record in a hundred is dead; a number that was chosen stands
    ///   alone.
    func isExceeded(by deadLetters: Int64, of records: Int64?) -> Bool {
        if deadLetters > deadLettersMax { return true }
        guard let records, deadLettersMax == Self.deadLettersDefault else { return false }
        return deadLetters * 100 > records
    }
}
