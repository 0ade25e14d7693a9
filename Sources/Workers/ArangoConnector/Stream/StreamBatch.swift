import KafkaBridge
import Workflow

/// Records that were read and checked and wait to be stored together.
struct StreamBatch: Sendable {
    /// Where a document came from.
    struct Origin: Sendable {
        var offset: Int64
        var sequence: Int64
        var attempt: Int64?
    }

    /// What comes after the batch.
    enum Ending: Sendable {
        case marker(EndMarker)
        case stopped
        case failed(ConnectorError)
    }

    var documents = DocumentBatch()
    /// One a document.
    var origins: [Origin] = []
    /// Records that can be no documents, as they go to the dead-letter topic.
    var letters = RecordBatch()
    /// The numbers of those; 0 for one that has none.
    var letterSequences: [Int64] = []
    /// The position after the batch.
    var nextOffset: Int64
    var lastSequence: Int64
    /// Records with a number that was read before.
    var repeatedDeliveries: Int64 = 0
    /// The end of the partition, when the batch reaches to it.
    var partitionEnd: Int64?
    /// nil: more is to come.
    var ending: Ending?
    /// The offset of the record that ended it, if one did.
    var endingOffset: Int64?

    init(after progress: StreamProgress) {
        nextOffset = progress.nextOffset
        lastSequence = progress.lastSequence
    }

    /// An empty batch that goes on after another one.
    init(after batch: StreamBatch) {
        nextOffset = batch.nextOffset
        lastSequence = batch.lastSequence
    }

    /// What of the batch is not stored yet when others have stored some of it.
    func remaining(after progress: StreamProgress) -> StreamBatch {
        guard let first = origins.first?.sequence ?? letterSequences.first else { return self }
        guard progress.lastSequence >= min(first, letterSequences.first ?? first) else { return self }
        var rest = self
        rest.documents = DocumentBatch()
        rest.origins = []
        for (index, origin) in origins.enumerated() where origin.sequence > progress.lastSequence {
            rest.documents.append(key: documents.key(index), json: documents.json(index))
            rest.origins.append(origin)
        }
        rest.letterSequences = letterSequences.filter { $0 == 0 || $0 > progress.lastSequence }
        rest.nextOffset = max(nextOffset, progress.nextOffset)
        rest.lastSequence = max(lastSequence, progress.lastSequence)
        return rest
    }

    var isEmpty: Bool { documents.isEmpty && letters.isEmpty }

    var lastKey: String? {
        documents.isEmpty ? nil : String(decoding: documents.key(documents.count - 1), as: UTF8.self)
    }
}
