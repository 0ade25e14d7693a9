import Foundation
import MarketData
import Testing

@testable import BinanceFeed

@Suite(.timeLimit(.minutes(3)))
struct TradeScannerTests {
    /// One of each kind, of the exchange's reference.
    private static let aggregate =
        #"{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27782,"T":1498793709153,"m":true,"M":true}"#
    private static let raw =
        #"{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,"#
        + #""isBuyerMaker":false,"isBestMatch":true}"#

    private static func texts(_ json: String, _ kind: TradeKind) throws -> [String] {
        let bytes = Array(json.utf8)
        let table = try TradeScanner.scan(bytes, kind)
        return (0..<table.rowCount).map { row in
            TradeTable.Field.allCases.map {
                String(decoding: bytes[table.range(row: row, $0)], as: UTF8.self)
            }
            .joined(separator: " ")
        }
    }

    @Test func `fields are found where they lie`() throws {
        let aggregate = "26129 0.01633102 4.70443515 1498793709153 true 27781 27782"
        #expect(
            try Self.texts("[\(Self.aggregate),\(Self.aggregate)]", .aggregate) == [aggregate, aggregate])
        #expect(
            try Self.texts("[\(Self.raw)]", .raw) == ["28457 4.00000100 12.00000000 1499865549590 false  "])
        #expect(try Self.texts(" [ ] ", .raw).isEmpty)
    }

    @Test func `the order of members, white space and unknown members are no matter`() throws {
        let other = #"""
            [ { "note" : {"id":[1,"}"],"x\"y":null} , "isBuyerMaker" : false , "time":1499865549590,
              "qty":"12.00000000","price":"4.00000100" , "id" : 28457 , "st":2.5 } ]
            """#
        #expect(try Self.texts(other, .raw) == Self.texts("[\(Self.raw)]", .raw))
    }

    @Test(arguments: [
        "", "{}", "[", "[1]", "[[]]", "[{}]", "[\(raw)", "[\(raw),]", "[\(raw)]x", "[\(raw)\(raw)]",
        "[\(aggregate)]", "[\(raw.replacing("28457", with: "\"28457\""))]",
        "[\(raw.replacing("28457", with: "028457"))]", "[\(raw.replacing("28457", with: "-1"))]",
        "[\(raw.replacing("\"4.00000100\"", with: "4.0"))]", "[\(raw.replacing("4.00000100", with: "1e3"))]",
        "[\(raw.replacing("false", with: "\"false\""))]", "[\(raw.replacing("false", with: "fals"))]",
        "[\(raw.replacing("\"qty\"", with: "\"id\""))]", "[\(raw.replacing("\"qty\"", with: "\"qtx\""))]",
        "[\(raw.replacing("28457", with: "1499040000000000000"))]", "<html></html>",
        "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}",
    ])
    func `anything else is no trades`(text: String) {
        #expect(throws: ScanFailure.self) { try TradeScanner.scan(Array(text.utf8), .raw) }
    }

    @Test(arguments: TradeKind.allCases) func `a body cut anywhere is no trades`(kind: TradeKind) {
        let row = kind == .raw ? Self.raw : Self.aggregate
        let bytes = Array("[\(row),\(row)]".utf8)
        for length in 0..<bytes.count {
            #expect(throws: ScanFailure.self) { try TradeScanner.scan(Array(bytes.prefix(length)), kind) }
        }
    }

    @Test func `damaged bytes are refused or read, but never read out of bounds`() throws {
        let seed = UInt64.random(in: 0 ... .max)
        let jitter = JitterSource(seed: seed)
        let original = Array("[\(Self.raw),\(Self.raw)]".utf8)
        for _ in 0..<5_000 {
            var bytes = original
            for _ in 0...Int(jitter.next() * 3) {
                bytes[Int(jitter.next() * Double(bytes.count))] = UInt8(jitter.next() * 256)
            }
            guard let table = try? TradeScanner.scan(bytes, .raw) else { continue }
            let isInside = table.bounds.allSatisfy { $0 <= UInt32(bytes.count) }
            #expect(table.rowCount <= 2 && isInside, "seed \(seed)")
        }
    }
}

struct TradePageTests {
    private static let start: Int64 = 1_723_161_600_000

    private func page(
        _ rows: [(id: Int64, time: Int64)], firstID: Int64?, asOf: Int64 = 9_999_999_999_999
    ) throws -> TradePage {
        let range = TradeRange(
            symbol: try #require(Symbol("BTCUSDT")), kind: .raw, from: Self.start, to: Self.start + 1_000,
            asOf: asOf)
        let body = rows.map { id, time in
            "{\"id\":\(id),\"price\":\"1\",\"qty\":\"2\",\"time\":\(time),\"isBuyerMaker\":true}"
        }
        let bytes = Array("[\(body.joined(separator: ","))]".utf8)
        return try TradePage(
            bytes: bytes, table: try TradeScanner.scan(bytes, .raw), of: range, firstID: firstID)
    }

    @Test func `a page that the range goes beyond tells where the next one begins`() throws {
        let found = try page([(5, Self.start), (6, Self.start), (7, Self.start + 999)], firstID: 5)
        #expect(found.rowCount == 3 && found.nextID == 8 && found.holes.isEmpty)
    }

    @Test func `the first trade behind the range ends it`() throws {
        let found = try page([(5, Self.start), (6, Self.start + 1_000), (7, Self.start + 1_000)], firstID: 5)
        #expect(found.rowCount == 1 && found.nextID == nil)
        let early = try page([(5, Self.start), (6, Self.start + 10)], firstID: 5, asOf: Self.start + 10)
        #expect(early.rowCount == 1 && early.nextID == nil)
    }

    @Test func `only an empty answer has nothing behind it`() throws {
        #expect(try page([(5, Self.start)], firstID: 5).nextID == 6)
        #expect(try page([], firstID: 5).nextID == nil)
    }

    @Test func `ids that are missing are a hole`() throws {
        let found = try page([(7, Self.start), (8, Self.start), (11, Self.start)], firstID: 5)
        #expect(
            found.holes == [
                RecordHole(from: 5, to: 7, recordCount: 2), RecordHole(from: 9, to: 11, recordCount: 2),
            ])
        // Which trade begins a range is not known before.
        #expect(try page([(7, Self.start)], firstID: nil).holes.isEmpty)
    }

    private static let wrong: [(rows: [(id: Int64, offset: Int64)], firstID: Int64?)] = [
        ([(4, 0)], 5), ([(5, 0), (5, 0)], 5), ([(6, 0), (5, 0)], 5), ([(5, -1)], nil),
        ([(5, -1_700_000_000_000)], 5), ([(5, 1_723_161_600_000_000)], 5),
    ]

    @Test(arguments: wrong.indices)
    func `ids that do not rise and times out of the range are no answer`(index: Int) {
        let (rows, firstID) = Self.wrong[index]
        #expect(throws: ScanFailure.self) {
            try page(rows.map { ($0.id, Self.start + $0.offset) }, firstID: firstID)
        }
    }
}
