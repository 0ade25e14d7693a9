import Foundation
import KafkaBridge
import MarketData
import Workflow

/// The rows all sides store: candles of 373 bytes in key order, the same in every run.
enum CandleRows {
    static let symbol = "BTCUSDT"
    static let interval = KlineInterval.minute1

    static func key(_ number: Int) -> String { "BTCUSDT-1m-\(openTime(number))" }

    private static func openTime(_ number: Int) -> Int { 1_600_000_000_000 + number * 60_000 }

    /// As the loader writes it; the digits differ from row to row.
    private static func json(_ number: Int) -> String {
        let time = openTime(number)
        let noise = 10_000_000 + (number &* 7_919) % 90_000_000
        return """
            {"_key":"\(key(number))","symbol":"BTCUSDT","interval":"1m","open_time":\(time),\
            "open":"6\(noise % 9_000 + 1_000).\(noise)","high":"6\(noise % 8_999 + 1_000).\(noise)",\
            "low":"6\(noise % 8_998 + 1_000).\(noise)","close":"6\(noise % 8_997 + 1_000).\(noise)",\
            "volume":"\(noise % 90_000 + 10_000).\(noise)","close_time":\(time + 59_999),\
            "quote_volume":"\(noise &* 97).\(noise)","trades":\(noise % 9_000_000 + 1_000_000),\
            "taker_buy_base":"\(noise % 80_000 + 10_000).\(noise)","taker_buy_quote":"\(noise &* 61).\(noise)"}
            """
    }

    /// Writes `key TAB json` lines for psql.
    ///
    /// - Returns: the size of all JSON texts in bytes.
    static func write(_ path: String, count: Int) throws -> Int {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let file = FileHandle(forWritingAtPath: path)
        else { throw BenchError("cannot write \(path)") }
        defer { try? file.close() }
        var bytes = 0
        for start in stride(from: 0, to: count, by: 10_000) {
            var text = ""
            for number in start..<min(start + 10_000, count) {
                let json = json(number)
                bytes += json.utf8.count
                text += "\(key(number))\t\(json)\n"
            }
            try file.write(contentsOf: Data(text.utf8))
        }
        return bytes
    }

    /// Fills a topic as the loader does: transactions of 1,000 records, numbered from 1, and the end marker.
    static func fill(_ topic: String, _ numbers: Range<Int>, _ producer: KafkaProducer) async throws {
        let symbolBytes = Array(symbol.utf8)
        let attempt = Array("1".utf8)
        for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 1_000) {
            var batch = RecordBatch()
            let end = min(start + 1_000, numbers.upperBound)
            for number in start..<end {
                let sequence = Array(String(number - numbers.lowerBound + 1).utf8)
                batch.append(
                    key: symbolBytes, value: json(number).utf8,
                    headers: [(RecordHeader.sequence, sequence), (RecordHeader.attempt, attempt)])
            }
            if end == numbers.upperBound {
                let marker = EndMarker(
                    count: Int64(numbers.count), firstKey: key(numbers.lowerBound),
                    lastKey: key(numbers.upperBound - 1))
                batch.append(
                    key: symbolBytes, value: try MessageCodec.encode(marker),
                    headers: [(RecordHeader.end, attempt)])
            }
            try await producer.beginTransaction()
            _ = try await producer.send(batch, to: topic, partition: 0)
            try await producer.commitTransaction()
        }
    }
}
