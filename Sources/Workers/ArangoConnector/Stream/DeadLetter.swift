import KafkaBridge
import Workflow

/// How a record looks on the dead-letter topic: the original with a reason, under a key that a repeat shares.
struct DeadLetter {
    static let reasonBytesMax = 1_000

    let partition: TopicPartition
    /// Of every record of the stream, on a shared topic.
    var streamHeaders: [RecordBatch.Header] = []

    /// For a record at hand: value and headers as they came.
    func append(_ record: ConsumedRecord, reason: String, to letters: inout RecordBatch) {
        let headers = record.headers.filter { $0.name != RecordHeader.reason }
        letters.append(
            key: key(record.offset), value: record.value, headers: headers + [reasonHeader(reason)])
    }

    /// For a document that the store refused. Its record is gone by then: the headers of every record are
    /// written anew from what was kept.
    func append(
        _ document: RefusedDocument, of batch: StreamBatch, traceparent: String?,
        to letters: inout RecordBatch
    ) {
        let origin = batch.origins[document.index]
        var headers: [RecordBatch.Header] = [
            (RecordHeader.sequence, Array(String(origin.sequence).utf8))
        ]
        if let attempt = origin.attempt {
            headers.append((RecordHeader.attempt, Array(String(attempt).utf8)))
        }
        if let traceparent { headers.append((RecordHeader.traceparent, Array(traceparent.utf8))) }
        letters.append(
            key: key(origin.offset), value: batch.documents.json(document.index),
            headers: headers + streamHeaders + [reasonHeader(document.reason)])
    }

    private func key(_ offset: Int64) -> [UInt8] { Array("\(partition)/\(offset)".utf8) }

    private func reasonHeader(_ reason: String) -> RecordBatch.Header {
        (RecordHeader.reason, Array(reason.utf8.prefix(Self.reasonBytesMax)))
    }
}
