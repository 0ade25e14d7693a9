import BinanceFeed
import Foundation
import HTTPBridge
import KafkaBridge
import MarketData
import Testing
import Workflow

/// What a reader of committed records finds in a partition.
struct Records: Sendable {
    var seqs: [Int64] = []
    var attempts: [Int64] = []
    var keys: [String] = []
    var kafkaKeys: Set<String> = []
    var traceparents: Set<String?> = []
    var markers: [EndMarker] = []
    /// Records after the first end marker.
    var afterMarker = 0
    var digest: RangeDigest?

    static func read(
        _ kafka: KafkaConnection, _ partition: TopicPartition, _ shape: RecordShape
    ) async throws -> Records {
        let admin = try KafkaAdmin(kafka)
        let end = try await admin.watermarks(of: partition, isolation: .readCommitted).high
        await admin.close()
        var result = Records()
        var digester = RangeDigester(shape: shape)
        guard end > 0 else {
            result.digest = digester.finish()
            return result
        }
        let consumer = try KafkaConsumer(kafka)
        try await consumer.assign([partition: .beginning])
        var isAtEnd = false
        while !isAtEnd {
            let polled = try await consumer.poll(timeout: .seconds(5))
            for record in polled { try result.add(record, shape, &digester) }
            for case .endReached(_, let offset) in polled.events where offset >= end { isAtEnd = true }
        }
        await consumer.close()
        result.digest = digester.finish()
        return result
    }

    private mutating func add(
        _ record: ConsumedRecord, _ shape: RecordShape, _ digester: inout RangeDigester
    ) throws {
        if !markers.isEmpty { afterMarker += 1 }
        let value = record.value ?? []
        kafkaKeys.insert(String(decoding: record.key ?? [], as: UTF8.self))
        if record.header(RecordHeader.end) != nil {
            markers.append(try MessageCodec.decode(EndMarker.self, from: value))
            return
        }
        let document = try #require(
            try JSONSerialization.jsonObject(with: Data(value)) as? [String: Any])
        let texts = shape.fields.map { field in
            field.kind == .boolean
                ? (document[field.name] as? Bool).map { String($0) } : Self.text(document[field.name])
        }
        let key = try #require(texts[0])
        try digester.add(key: key, values: texts)
        keys.append(key)
        seqs.append(record.integerHeader(RecordHeader.sequence) ?? -1)
        attempts.append(record.integerHeader(RecordHeader.attempt) ?? -1)
        let trace = record.header(RecordHeader.traceparent)
        traceparents.insert(trace.map { String(decoding: $0, as: UTF8.self) })
    }

    /// A string's characters or a whole number's digits.
    private static func text(_ value: Any?) -> String? {
        value as? String ?? (value as? NSNumber).map { "\($0.int64Value)" }
    }

    /// Numbers 1, 2, 3 … and keys that rise: nothing lost, nothing twice.
    var isGapless: Bool {
        seqs == Array(1...Int64(max(seqs.count, 1))).prefix(seqs.count).map { $0 }
            && zip(keys, keys.dropFirst()).allSatisfy { $0 < $1 }
    }

    /// The digest of the exchange's own answers, read with another parser than the loader's.
    static func sourceDigest(baseURL: String, _ range: KlineRange) async throws -> RangeDigest {
        let http = HTTPClient()
        var digester = RangeDigester(shape: .candle)
        var start = range.from
        while start < range.to {
            let url =
                "\(baseURL)/api/v3/klines?symbol=\(range.symbol)&interval=\(range.interval.rawValue)"
                + "&startTime=\(start)&endTime=\(range.to - 1)&limit=1000"
            let body = try await http.execute(HTTPRequest(.get, url)).body
            let rows = try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [[Any]])
            guard let last = rows.last.flatMap({ $0.first as? NSNumber })?.int64Value else { break }
            for row in rows {
                let text = row.map(text)
                let openTime = try #require(row.first as? NSNumber).int64Value
                let key = RecordKey.candle(range.symbol, range.interval, openTime: openTime)
                let head = [key, range.symbol.rawValue, range.interval.keyText]
                try digester.add(key: key, values: head + text.prefix(11))
            }
            start = range.interval.openTime(after: last)
        }
        return digester.finish()
    }

    /// The same for trades, which are asked for by id: `count` of them from `first` on.
    static func sourceDigest(
        baseURL: String, _ range: TradeRange, from first: Int64, count: Int64
    ) async throws -> RangeDigest {
        let http = HTTPClient()
        var digester = RangeDigester(shape: .trade)
        let path = range.kind == .raw ? "historicalTrades" : "aggTrades"
        let names =
            range.kind == .raw
            ? ["id", "price", "qty", "time", "isBuyerMaker"] : ["a", "p", "q", "T", "m", "f", "l"]
        var next = first
        while next < first + count {
            let limit = min(1_000, first + count - next)
            let url = "\(baseURL)/api/v3/\(path)?symbol=\(range.symbol)&fromId=\(next)&limit=\(limit)"
            let body = try await http.execute(HTTPRequest(.get, url)).body
            let rows = try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [[String: Any]])
            try #require(!rows.isEmpty)
            for row in rows {
                var texts = names.map { text(row[$0]) }
                texts[4] = (row[names[4]] as? Bool).map { String($0) }
                if range.kind == .raw { texts += [nil, nil] }
                next = try #require(texts[0].flatMap { Int64($0) })
                let key = RecordKey.trade(range.symbol, range.kind, id: next)
                try digester.add(key: key, values: [key, range.symbol.rawValue] + texts)
                next += 1
            }
        }
        return digester.finish()
    }
}
