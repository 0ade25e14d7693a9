import Foundation
import Testing

@testable import BinanceFeed

@Suite(.timeLimit(.minutes(3)))
struct KlineScannerTests {
    /// One kline of the exchange's reference.
    private static let row =
        #"[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815","#
        + #"1499644799999,"2434.19055334",308,"1756.87402397","28.46694368","0"]"#

    @Test func `fields are found where they lie`() throws {
        let bytes = Array("[\(Self.row),\(Self.row)]".utf8)
        let table = try KlineScanner.scan(bytes)
        #expect(table.openTimes == [1_499_040_000_000, 1_499_040_000_000])
        #expect(table.closeTimes == [1_499_644_799_999, 1_499_644_799_999])
        let fields = (0..<KlineTable.fieldCount).map { field in
            String(decoding: bytes[table.range(row: 1, field: field)], as: UTF8.self)
        }
        #expect(
            fields == [
                "1499040000000", "0.01634790", "0.80000000", "0.01575800", "0.01577100", "148976.11427815",
                "1499644799999", "2434.19055334", "308", "1756.87402397", "28.46694368",
            ])
    }

    @Test(arguments: [
        " [ ] ", "\n[\t]\r\n", "[\(row)]", " [ \(row.replacingOccurrences(of: ",", with: " ,\n\t")) ] ",
        "[\(row.dropLast()),1,-2.5e7,null,true,{\"a\":[1,\"]\"],\"b\":{}},\"x\\\"y\"]]",
        "[\(row.replacingOccurrences(of: ",\"0\"]", with: "]"))]",
    ])
    func `white space and further elements are no matter`(text: String) throws {
        let table = try KlineScanner.scan(Array(text.utf8))
        #expect(table.rowCount == (text.contains("1499040000000") ? 1 : 0))
    }

    @Test(arguments: [
        "", " ", "{}", "[", "[[]]", "[1]", "[\(row)", "[\(row),]", "[\(row)]x", "[\(row)][]",
        "[\(row)\(row)]",
        "[\(row.replacingOccurrences(of: "308", with: "\"308\""))]",
        "[\(row.replacingOccurrences(of: "\"0.80000000\"", with: "0.8"))]",
        "[\(row.replacingOccurrences(of: "0.80000000", with: "0.8e1"))]",
        "[\(row.replacingOccurrences(of: "0.80000000", with: "-0.8"))]",
        "[\(row.replacingOccurrences(of: "0.80000000", with: "0."))]",
        "[\(row.replacingOccurrences(of: "0.80000000", with: ".8"))]",
        "[\(row.replacingOccurrences(of: "0.80000000", with: ""))]",
        "[\(row.replacingOccurrences(of: "1499040000000", with: "1499040000000000000"))]",
        "[\(row.replacingOccurrences(of: "1499040000000", with: "1.5"))]",
        "[\(row.replacingOccurrences(of: "308,", with: ""))]",
        "[[1499040000000,\"1\",\"1\"]]", "[\(row.dropLast()),\(String(repeating: "[", count: 40))",
        "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}", "<html></html>",
    ])
    func `anything else is no klines`(text: String) {
        #expect(throws: ScanFailure.self) { try KlineScanner.scan(Array(text.utf8)) }
    }

    @Test func `a body cut anywhere is no klines`() {
        let bytes = Array("[\(Self.row),\(Self.row)]".utf8)
        for length in 0..<bytes.count {
            #expect(throws: ScanFailure.self) { try KlineScanner.scan(Array(bytes.prefix(length))) }
        }
    }

    @Test func `damaged bytes are refused or read, but never read out of bounds`() throws {
        let seed = UInt64.random(in: 0 ... .max)
        let jitter = JitterSource(seed: seed)
        let original = Array("[\(Self.row),\(Self.row)]".utf8)
        for _ in 0..<5_000 {
            var bytes = original
            for _ in 0...Int(jitter.next() * 3) {
                bytes[Int(jitter.next() * Double(bytes.count))] = UInt8(jitter.next() * 256)
            }
            guard let table = try? KlineScanner.scan(bytes) else { continue }
            #expect(table.rowCount <= 2, "seed \(seed)")
            let isInside = table.bounds.allSatisfy { $0 <= UInt32(bytes.count) }
            #expect(isInside, "seed \(seed)")
        }
    }
}
