import KafkaBridge
import MarketData
import Workflow

/// Candles of BTCUSDT, 5 minutes each, from 2024-08-01 on: the record with number 1 is the first.
enum Candles {
    static let symbol = Symbol("BTCUSDT")
    static let interval = KlineInterval.minute5

    static func openTime(_ sequence: Int64) -> Int64 { 1_722_470_400_000 + (sequence - 1) * 300_000 }

    static func key(_ sequence: Int64) -> String { "BTCUSDT-5m-\(openTime(sequence))" }

    /// As ``CandleRecordWriter`` writes it.
    static func json(_ sequence: Int64) -> String {
        let time = openTime(sequence)
        return """
            {"_key":"\(key(sequence))","symbol":"BTCUSDT","interval":"5m","open_time":\(time),\
            "open":"\(sequence).50000000","high":"64610.00000000","low":"64580.10000000",\
            "close":"64600.00000000","volume":"12.34500000","close_time":\(time + 299_999),\
            "quote_volume":"797000.10000000","trades":\(sequence % 1000),"taker_buy_base":"6.00000000",\
            "taker_buy_quote":"387000.00000000"}
            """
    }

    static func append(
        _ sequence: Int64, json: String? = nil, withNumber: Bool = true, to batch: inout RecordBatch
    ) {
        let headers: [RecordBatch.Header] = [
            (RecordHeader.sequence, Array(String(sequence).utf8)), (RecordHeader.attempt, Array("1".utf8)),
        ]
        batch.append(
            key: Array("BTCUSDT".utf8), value: Array((json ?? self.json(sequence)).utf8),
            headers: withNumber ? headers : [])
    }

    static func batch(_ sequences: ClosedRange<Int64>) -> RecordBatch {
        var batch = RecordBatch()
        for sequence in sequences { append(sequence, to: &batch) }
        return batch
    }

    static func appendMarker(_ marker: EndMarker, to batch: inout RecordBatch) throws {
        batch.append(
            key: Array("BTCUSDT".utf8), value: try MessageCodec.encode(marker),
            headers: [(RecordHeader.end, Array("1".utf8))])
    }

    static func marker(count: Int64) -> EndMarker {
        EndMarker(
            count: count, firstKey: count == 0 ? nil : key(1), lastKey: count == 0 ? nil : key(count))
    }
}
