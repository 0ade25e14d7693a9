import BinanceFeed
import KafkaBridge
import MarketData
import Workflow

/// The records of one transaction, and how far the instance is once they are committed.
struct CandleBatch: Sendable {
    private(set) var records: RecordBatch
    private(set) var progress: LoadProgress

    private let encoder: CandleEncoder
    private let range: KlineRange
    private let key: [UInt8]
    private let holesMax: Int
    /// The number's place is the first; the others are the same for all records.
    private var headers: [RecordBatch.Header]

    init(_ plan: LoadPlan, progress: LoadProgress, limits: LoadLimits) {
        range = plan.range
        encoder = CandleEncoder(symbol: range.symbol, interval: range.interval)
        key = Array(range.symbol.rawValue.utf8)
        holesMax = limits.holesMax
        self.progress = progress
        records = RecordBatch()
        headers = [
            (RecordHeader.sequence, nil), (RecordHeader.attempt, Array(String(plan.attempt).utf8)),
        ]
        if let traceparent = plan.traceparent {
            headers.append((RecordHeader.traceparent, Array(traceparent.utf8)))
        }
    }

    mutating func append(_ page: KlinePage) {
        progress.add(page.holes, holesMax: holesMax)
        guard page.rowCount > 0 else { return }
        page.forEachCandle { _, fields, bytes in
            progress.lastSeq += 1
            headers[0].value = Array(String(progress.lastSeq).utf8)
            records.append(key: key, headers: headers, valueBytesMax: encoder.bytes(of: fields)) { room in
                encoder.write(fields, of: bytes, to: room)
            }
        }
        if progress.firstKey == nil { progress.firstKey = recordKey(page.openTime(row: 0)) }
        progress.lastKey = recordKey(page.openTime(row: page.rowCount - 1))
    }

    /// Adds the end marker; its number follows the last candle's, its count leaves it out.
    mutating func appendEndMarker() throws {
        var headers = headers
        headers[0].value = Array(String(progress.lastSeq + 1).utf8)
        headers.append((RecordHeader.end, [UInt8(ascii: "1")]))
        records.append(key: key, value: try MessageCodec.encode(progress.endMarker), headers: headers)
    }

    /// After a commit.
    mutating func removeAll() {
        records.removeAll()
        progress.transactions += 1
    }

    private func recordKey(_ openTime: Int64) -> String {
        RecordKey.candle(range.symbol, range.interval, openTime: openTime)
    }
}
