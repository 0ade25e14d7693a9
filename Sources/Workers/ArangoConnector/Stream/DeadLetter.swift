import KafkaBridge
import Workflow

/// How a record looks on the dead-letter topic: the original with a reason, under a key that a repeat shares.
struct DeadLetter {
    static let reasonBytesMax = 1_000
    /// Of its value, and of headers that are not ours: a letter must fit where records of other writers did just so,
    /// key and reason included.
    static let valueBytesMax = 800_000
    static let headersBytesMax = 100_000

    let partition: TopicPartition
    /// Of every record of the stream, on a shared topic.
    var streamHeaders: [RecordBatch.Header] = []

    /// For a record at hand: value and headers as they came, as far as they fit.
    func append(_ record: ConsumedRecord, reason: String, to letters: inout RecordBatch) {
        var headers = record.headers.filter { $0.name != RecordHeader.reason }
        var note = ""
        let headerBytes = headers.reduce(0) { $0 + $1.name.utf8.count + ($1.value?.count ?? 0) }
        if headerBytes > Self.headersBytesMax {
            // Those that say whose it is are few and short.
            let ours = headers.filter { $0.name.hasPrefix("sf-") && $0.value?.count ?? 0 <= 1_000 }
            headers = Array(ours.prefix(32))
            note = " (only \(headers.count) of its headers, of \(headerBytes) bytes, are here)"
        }
        append(record.offset, record.value, headers, reason, note, to: &letters)
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
        append(
            origin.offset, Array(batch.documents.json(document.index)), headers + streamHeaders,
            document.reason, "", to: &letters)
    }

    private func append(
        _ offset: Int64, _ value: [UInt8]?, _ headers: [RecordBatch.Header], _ reason: String,
        _ note: String, to letters: inout RecordBatch
    ) {
        var (value, note) = (value, note)
        if let all = value, all.count > Self.valueBytesMax {
            value = Array(all.prefix(Self.valueBytesMax))
            note += " (the first \(Self.valueBytesMax) of its \(all.count) bytes are here)"
        }
        letters.append(
            key: Array("\(partition)/\(offset)".utf8), value: value,
            headers: headers + [(RecordHeader.reason, Self.reason(reason, note))])
    }

    private static func reason(_ reason: String, _ note: String) -> [UInt8] {
        let note = Array(note.utf8)
        return reason.utf8.prefix(reasonBytesMax - note.count) + note
    }
}
