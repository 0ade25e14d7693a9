import MarketData
import RecordChecks
import Testing

@Suite struct TradeRecordTests {
    private static func written(_ kind: TradeKind, symbol: String = "BTCUSDT") throws -> String {
        let texts = ["3735683259", "61686.00000000", "0.00011000", "1723161255123", "true", "41", "42"]
        let bytes = Array(texts.joined(separator: ",").utf8)
        var ranges: [Range<Int>] = []
        for text in texts {
            let start = ranges.last.map { $0.upperBound + 1 } ?? 0
            ranges.append(start..<(start + text.utf8.count))
        }
        let fields = TradeRecordWriter.Fields(
            id: ranges[0], price: ranges[1], quantity: ranges[2], time: ranges[3], isBuyerMaker: ranges[4],
            firstTradeID: ranges[5], lastTradeID: ranges[6])
        var json: [UInt8] = []
        let writer = TradeRecordWriter(symbol: try #require(Symbol(symbol)), kind: kind)
        bytes.withUnsafeBytes { writer.write(fields, of: $0, to: &json) }
        return String(decoding: json, as: UTF8.self)
    }

    private static func key(_ json: String) throws -> String {
        let reader = RecordReader(symbol: try #require(Symbol("BTCUSDT")), interval: nil)
        let bytes = Array(json.utf8)
        let range = try bytes.withUnsafeBytes { try reader.key(in: $0) }
        return String(decoding: bytes[range], as: UTF8.self)
    }

    @Test func `a trade is written field by field as it was sent, and its key is found`() throws {
        let raw =
            #"{"_key":"BTCUSDT-t-00000000003735683259","symbol":"BTCUSDT","trade_id":3735683259,"#
            + #""price":"61686.00000000","quantity":"0.00011000","time":1723161255123,"is_buyer_maker":true}"#
        #expect(try Self.written(.raw) == raw)
        #expect(try Self.key(raw) == "BTCUSDT-t-00000000003735683259")
        let aggregate =
            raw.replacing("-t-", with: "-a-").dropLast() + #","first_trade_id":41,"last_trade_id":42}"#
        #expect(try Self.written(.aggregate) == aggregate)
        #expect(try Self.key(String(aggregate)) == "BTCUSDT-a-00000000003735683259")
    }

    @Test(arguments: [
        ("-t-", "-a-", "_key does not belong to trade_id"),
        ("\"trade_id\":3735683259", "\"trade_id\":3735683258", "_key does not belong to trade_id"),
        ("true}", "true,\"first_trade_id\":41}", "_key does not belong to trade_id"),
        ("true}", "true,\"last_trade_id\":41}", "_key does not belong to trade_id"),
        ("true}", "\"true\"}", "field is_buyer_maker is no boolean as it should be"),
        ("\"symbol\":\"BTCUSDT\"", "\"symbol\":\"ETHUSDT\"", "symbol is not BTCUSDT"),
        ("\"61686.00000000\"", "61686", "field price is no decimal as it should be"),
        ("\"time\":1723161255123,", "", "field time is missing"),
    ])
    func `a record that is no trade of its stream is refused with the reason`(
        from: String, to: String, reason: String
    ) throws {
        let json = try Self.written(.raw).replacing(from, with: to)
        #expect(throws: UnreadableRecord(reason)) { try Self.key(json) }
    }

    @Test(arguments: TradeKind.allCases) func `a key gives its id back, for its own kind only`(
        kind: TradeKind
    ) throws {
        let symbol = try #require(Symbol("BTCUSDT"))
        let key = RecordKey.trade(symbol, kind, id: 7)
        #expect(RecordKey.tradeID(ofTrade: key, symbol, kind) == 7)
        let other: TradeKind = kind == .raw ? .aggregate : .raw
        #expect(RecordKey.tradeID(ofTrade: key, symbol, other) == nil)
        #expect(RecordKey.tradeID(ofTrade: String(key.dropLast()), symbol, kind) == nil)
        #expect(RecordKey.tradeID(ofTrade: key.dropLast() + "x", symbol, kind) == nil)
    }
}
