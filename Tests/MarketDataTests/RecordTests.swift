import MarketData
import Testing

@Suite struct RecordTests {
    @Test func `keys have a fixed width and follow time`() throws {
        let symbol = try #require(Symbol("BTCUSDT"))
        let key = RecordKey.candle(symbol, .minute5, openTime: 1_722_470_400_000)
        #expect(key == "BTCUSDT-5m-1722470400000")
        #expect(RecordKey.openTime(ofCandle: key, symbol, .minute5) == 1_722_470_400_000)
        #expect(RecordKey.openTime(ofCandle: key, symbol, .minute1) == nil)
        #expect(RecordKey.candle(symbol, .day1, openTime: 0) == "BTCUSDT-1d-0000000000000")
        #expect(RecordKey.trade(symbol, .aggregate, id: 3_735_683_259) == "BTCUSDT-a-00000000003735683259")
        #expect(RecordKey.trade(symbol, .raw, id: 1) == "BTCUSDT-t-00000000000000000001")
    }

    @Test(arguments: [
        ("1.50000000", "1.5"), ("100", "100"), ("0.00000000", "0"), ("-0.0", "0"), ("007.10", "7.1"),
        ("0.00001000", "0.00001"), ("-12.340", "-12.34"),
    ])
    func `decimals lose only zeros that carry no value`(text: String, expected: String) {
        #expect(DecimalText.canonical(text) == expected)
    }

    @Test(arguments: ["", ".", "1.", ".5", "1e5", "+1", "1.2.3", "NaN", "--1", "1 "])
    func `refuses what is no plain decimal`(text: String) {
        #expect(DecimalText.canonical(text) == nil)
    }

    @Test func `a candle is written field by field as it was sent`() throws {
        let row = "1722470400000,64628.01000000,2,3,4,5,1722470699999,6,7,8,9"
        let bytes = Array(row.utf8)
        var ranges: [Range<Int>] = []
        var start = 0
        for part in row.split(separator: ",") {
            ranges.append(start..<(start + part.utf8.count))
            start += part.utf8.count + 1
        }
        var output: [UInt8] = []
        let writer = CandleRecordWriter(symbol: try #require(Symbol("BTCUSDT")), interval: .minute5)
        bytes.withUnsafeBytes { writer.write(.init(ranges), of: $0, to: &output) }
        #expect(
            String(decoding: output, as: UTF8.self)
                == #"{"_key":"BTCUSDT-5m-1722470400000","symbol":"BTCUSDT","interval":"5m","open_time":1722470400000,"#
                + #""open":"64628.01000000","high":"2","low":"3","close":"4","volume":"5","close_time":1722470699999,"#
                + #""quote_volume":"6","trades":7,"taker_buy_base":"8","taker_buy_quote":"9"}"#)
    }

    @Test func `a digest ignores trailing zeros and sees everything else`() throws {
        let shape = RecordShape(fields: [
            .init("_key", .text), .init("open", .decimal), .init("n", .integer, isOptional: true),
        ])
        let digest = { (open: String, count: String?) throws -> RangeDigest in
            var digester = RangeDigester(shape: shape)
            try digester.add(key: "a", values: ["a", open, count])
            return digester.finish()
        }
        #expect(try digest("1.50", "2") == digest("1.5", "2"))
        #expect(try digest("1.51", "2") != digest("1.5", "2"))
        #expect(try digest("1.5", nil) != digest("1.5", "2"))
        // printf 'a,1.5,2\n' | sha256sum
        #expect(
            try digest("1.5", "2").sha256
                == "a2f29162ee7c0ee772af293b8c1206e3ed35523c69c8178f0da757d3276dac40")
    }

    @Test func `a digest refuses keys out of order and doubled keys`() throws {
        var digester = RangeDigester(shape: RecordShape(fields: [.init("_key", .text)]))
        try digester.add(key: "b", values: ["b"])
        #expect(throws: RangeDigestError.self) { try digester.add(key: "b", values: ["b"]) }
        #expect(throws: RangeDigestError.self) { try digester.add(key: "a", values: ["a"]) }
    }
}
