import KafkaBridge
import RecordChecks
import Workflow

/// Turns records into batches: checks their order and their form, keeps to the bounds. No I/O.
///
/// `sf-seq` rises by one from record to record (offsets do not: transaction markers take some). A number that
/// was seen is a repeated delivery and skipped; a missing one ends the stream, with nothing taken after it.
struct BatchBuilder: Sendable {
    private let partition: TopicPartition
    private let reader: RecordReader
    private let letter: DeadLetter
    private let documentsMax: Int
    private let bytesMax: Int
    private(set) var batch: StreamBatch

    init(
        partition: TopicPartition, reader: RecordReader, limits: ConnectorLimits,
        after progress: StreamProgress
    ) {
        self.partition = partition
        self.reader = reader
        letter = DeadLetter(partition: partition)
        documentsMax = min(limits.batchRecordsMax, DocumentBatch.documentsMax)
        bytesMax = min(limits.batchBytesMax, DocumentBatch.bytesMax)
        batch = StreamBatch(after: progress)
    }

    var isFull: Bool { batch.documents.count >= documentsMax || batch.letters.isFull }

    /// Gives the batch away and begins the next one.
    mutating func take() -> StreamBatch {
        var next = StreamBatch(after: batch)
        next.documents.reserve(documents: batch.documents.count, bytes: batch.documents.bytes.count)
        next.origins.reserveCapacity(batch.origins.count)
        swap(&next, &batch)
        return next
    }

    /// The first ending stands.
    mutating func end(_ ending: StreamBatch.Ending) { batch.ending = batch.ending ?? ending }

    mutating func reachedEnd(offset: Int64) { batch.partitionEnd = offset }

    /// - Returns: false when the record belongs to the next batch; ``StreamBatch/ending`` tells when no more
    ///   are wanted.
    mutating func add(_ record: ConsumedRecord) -> Bool {
        batch.partitionEnd = nil
        if record.withHeader(RecordHeader.end, { $0 != nil }) {
            batch.ending = ending(record)
            batch.endingOffset = record.offset
            return true
        }
        guard let sequence = record.integerHeader(RecordHeader.sequence) else {
            guard makeRoom(for: record) else { return false }
            refuse(record, sequence: 0, reason: "it has no \(RecordHeader.sequence)")
            return true
        }
        guard sequence > batch.lastSequence else {
            batch.repeatedDeliveries += 1
            batch.nextOffset = record.offset + 1
            return true
        }
        guard sequence == batch.lastSequence + 1 else {
            batch.endingOffset = record.offset
            batch.ending = .failed(
                .dataLost(
                    partition,
                    "after number \(batch.lastSequence) comes \(sequence) at offset \(record.offset), "
                        + "expected \(batch.lastSequence + 1)"))
            return true
        }
        guard makeRoom(for: record) else { return false }
        batch.lastSequence = sequence
        do throws(UnreadableRecord) {
            try takeDocument(record)
        } catch {
            refuse(record, sequence: sequence, reason: error.reason)
            return true
        }
        batch.origins.append(
            .init(
                offset: record.offset, sequence: sequence,
                attempt: record.integerHeader(RecordHeader.attempt)))
        batch.nextOffset = record.offset + 1
        return true
    }

    private mutating func takeDocument(_ record: ConsumedRecord) throws(UnreadableRecord) {
        guard record.valueBytes + RecordReader.keyBytesMax <= DocumentBatch.bytesMax else {
            throw UnreadableRecord(
                "it has \(record.valueBytes) bytes, at most "
                    + "\(DocumentBatch.bytesMax - RecordReader.keyBytesMax) are stored")
        }
        try record.withValue { bytes throws(UnreadableRecord) in
            let key = try reader.key(in: bytes)
            guard let bytes else { return }
            batch.documents.append(key: UnsafeRawBufferPointer(rebasing: bytes[key]), json: bytes)
        }
    }

    /// Whether the record fits; one that is alone in a batch always does.
    private func makeRoom(for record: ConsumedRecord) -> Bool {
        if batch.isEmpty { return true }
        let bytes = batch.documents.bytes.count + record.valueBytes + RecordReader.keyBytesMax
        return !isFull && bytes <= bytesMax
    }

    private mutating func refuse(_ record: ConsumedRecord, sequence: Int64, reason: String) {
        batch.letterSequences.append(sequence)
        letter.append(record, reason: reason, to: &batch.letters)
        batch.nextOffset = record.offset + 1
    }

    /// The position stays before the marker, so that every attempt finds it again.
    private func ending(_ record: ConsumedRecord) -> StreamBatch.Ending {
        let marker: EndMarker
        do {
            marker = try MessageCodec.decode(EndMarker.self, from: record.value ?? [])
        } catch {
            return .failed(
                .corruptStream(partition, "the end marker at offset \(record.offset) \(error)"))
        }
        guard marker.count <= batch.lastSequence else {
            return .failed(
                .dataLost(
                    partition,
                    "the end marker counts \(marker.count), the last number is \(batch.lastSequence)"))
        }
        guard marker.count == batch.lastSequence else {
            return .failed(
                .corruptStream(
                    partition,
                    "the end marker counts \(marker.count) records, the last number is \(batch.lastSequence)")
            )
        }
        guard marker.count == 0 || (marker.firstKey != nil && marker.lastKey != nil) else {
            return .failed(.corruptStream(partition, "the end marker names no first and last key"))
        }
        return .marker(marker)
    }
}
