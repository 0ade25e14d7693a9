import Foundation
import MarketData
import RecordChecks
import Testing

@Suite struct RecordReaderTests {
    private func reader() throws -> RecordReader {
        RecordReader(symbol: try #require(Candles.symbol), interval: Candles.interval)
    }

    private func key(_ json: String) throws -> String {
        let bytes = Array(json.utf8)
        let range = try bytes.withUnsafeBytes { try reader().key(in: $0) }
        return String(decoding: bytes[range], as: UTF8.self)
    }

    @Test func `finds the key of a candle as the writer writes it`() throws {
        let symbol = try #require(Candles.symbol)
        let kline = Array("1722470400000,1.5,2,0.5,1,10,1722470699999,15,7,3,4.5".utf8)
        var ranges: [Range<Int>] = []
        var start = 0
        for end in kline.indices where kline[end] == UInt8(ascii: ",") {
            ranges.append(start..<end)
            start = end + 1
        }
        ranges.append(start..<kline.count)
        var json: [UInt8] = []
        kline.withUnsafeBytes {
            CandleRecordWriter(symbol: symbol, interval: .minute5)
                .write(CandleRecordWriter.Fields(ranges), of: $0, to: &json)
        }
        #expect(try key(String(decoding: json, as: UTF8.self)) == "BTCUSDT-5m-1722470400000")
    }

    @Test func `finds the key in another order of fields and with white space`() throws {
        let object = try JSONSerialization.jsonObject(with: Data(Candles.json(7).utf8))
        let pretty = try JSONSerialization.data(
            withJSONObject: object, options: [.prettyPrinted, .sortedKeys])
        #expect(try key(String(decoding: pretty, as: UTF8.self)) == Candles.key(7))
    }

    @Test func `lets fields beyond the shape through`() throws {
        let json = Candles.json(3).replacing("\"trades\"", with: "\"note\":{\"a\":[1,null,true]},\"trades\"")
        #expect(try key(json) == Candles.key(3))
    }

    static let unreadable: [(change: (from: String, to: String), reason: String)] = [
        (("{", ""), "it is no JSON object"),
        (("}", "},"), "it is no JSON object"),
        (("\"trades\":7", "\"trades\":07"), "it is no JSON object"),
        (("\"trades\":7", "\"trades\":7.5"), "field trades is no integer as it should be"),
        (("\"trades\":7", "\"trades\":\"7\""), "field trades is no integer as it should be"),
        (("\"trades\":7,", ""), "field trades is missing"),
        (("\"_key\"", "\"key\""), "field _key is missing"),
        (("\"_key\"", "\"\\u005fkey\""), "a field's name holds an escape"),
        (("\"open\":\"7.50000000\"", "\"open\":\"7,5\""), "field open is no decimal as it should be"),
        (("\"open\":\"7.50000000\"", "\"open\":7.5"), "field open is no decimal as it should be"),
        (("\"symbol\":\"BTCUSDT\"", "\"symbol\":\"ETHUSDT\""), "symbol is not BTCUSDT"),
        (("\"interval\":\"5m\"", "\"interval\":\"1m\""), "interval is not 5m"),
        (("\"low\"", "\"open\""), "field open is there twice"),
        (("\"_key\":\"BTC", "\"_key\":\"B/C"), "_key is no legal document key"),
        (("\"_key\":\"BTC", "\"_key\":\"ETH"), "_key does not belong to open_time"),
    ]

    @Test(arguments: unreadable.indices) func `says what is wrong with a record`(index: Int) throws {
        let (change, reason) = Self.unreadable[index]
        let json = Candles.json(7)
        let range = try #require(json.firstRange(of: change.from))
        #expect(throws: UnreadableRecord(reason)) {
            try key(json.replacingCharacters(in: range, with: change.to))
        }
    }

    @Test func `refuses bytes that are not UTF-8`() throws {
        var bytes = Array(Candles.json(7).replacing("\"trades\"", with: "\"note\":\"x\",\"trades\"").utf8)
        let position = try #require(bytes.firstIndex(of: UInt8(ascii: "x")))
        bytes[position] = 0xff
        #expect(throws: UnreadableRecord("it is not UTF-8")) {
            try bytes.withUnsafeBytes { try reader().key(in: $0) }
        }
    }

    @Test func `takes no record that another JSON parser refuses`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SplitMix(state: seed)
        let base = Array(Candles.json(123).utf8)
        let pieces = Array("{}[]\",:\\0123456789.eE+-tfn \u{1}u".utf8)
        let reader = try reader()
        for _ in 0..<20_000 {
            var bytes = base
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let position = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[position] = pieces[Int.random(in: 0..<pieces.count, using: &random)]
                case 1: bytes.remove(at: position)
                default:
                    bytes.insert(pieces[Int.random(in: 0..<pieces.count, using: &random)], at: position)
                }
            }
            guard (try? bytes.withUnsafeBytes({ try reader.key(in: $0) })) != nil else { continue }
            let object = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
            #expect(
                object?["_key"] as? String != nil, "seed \(seed): \(String(decoding: bytes, as: UTF8.self))")
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
