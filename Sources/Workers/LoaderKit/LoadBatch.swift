import KafkaBridge
import Workflow

/// The records of one transaction, and how far the instance is once they are committed.
struct LoadBatch: Sendable {
    private(set) var records: RecordBatch
    private(set) var progress: LoadProgress

    private let key: [UInt8]
    private let holesMax: Int
    /// The number's place is the first; the others are the same for all records.
    private var headers: [RecordBatch.Header]
    private let shared: SharedRoute?

    /// - Parameter key: Kafka's, of all records.
    init(_ plan: LoadPlan, key: String, progress: LoadProgress, limits: LoadLimits) {
        self.key = Array(key.utf8)
        holesMax = limits.holesMax
        self.progress = progress
        records = RecordBatch()
        headers = [
            (RecordHeader.sequence, nil), (RecordHeader.attempt, Array(String(plan.attempt).utf8)),
        ]
        if let traceparent = plan.traceparent {
            headers.append((RecordHeader.traceparent, Array(traceparent.utf8)))
        }
        shared = plan.shared
        headers += plan.shared?.headers ?? []
    }

    mutating func append(_ page: some RecordPage) {
        progress.add(page.holes, holesMax: holesMax)
        guard page.rowCount > 0 else { return }
        page.forEachRecord { bytesMax, write in
            progress.lastSeq += 1
            headers[0].value = Array(String(progress.lastSeq).utf8)
            records.append(key: key, headers: headers, valueBytesMax: bytesMax, write: write)
        }
        if progress.firstKey == nil { progress.firstKey = page.key(row: 0) }
        progress.lastKey = page.key(row: page.rowCount - 1)
    }

    /// Adds the end marker; its number follows the last record's, its count leaves it out.
    mutating func appendEndMarker() throws {
        var headers = headers
        headers[0].value = Array(String(progress.lastSeq + 1).utf8)
        headers.append((RecordHeader.end, [UInt8(ascii: "1")]))
        var marker = progress.endMarker
        marker.deadLettersMax = shared?.deadLettersMax
        records.append(key: key, value: try MessageCodec.encode(marker), headers: headers)
    }

    /// After a commit.
    mutating func removeAll() {
        records.removeAll()
        progress.transactions += 1
    }
}
