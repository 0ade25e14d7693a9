import MarketData
import Testing

@testable import LoaderAPICandles

struct CandleEncoderTests {
    @Test(arguments: KlineInterval.allCases)
    func `writes what the writer of records writes`(interval: KlineInterval) throws {
        let texts = [
            "1722470400000", "64628.00000000", "64659.1", "64531.01", "64544.01000000", "165.47400000",
            "1722470699999", "10688330.81", "17654", "70.5", "0.00000000",
        ]
        let bytes = Array(texts.joined(separator: "|").utf8)
        var start = 0
        let ranges = texts.map { text -> Range<Int> in
            defer { start += text.utf8.count + 1 }
            return start..<(start + text.utf8.count)
        }
        let fields = CandleRecordWriter.Fields(ranges)
        let symbol = try #require(Symbol("1INCHUSDT"))
        var expected: [UInt8] = []
        let encoder = CandleEncoder(symbol: symbol, interval: interval)
        let written = bytes.withUnsafeBytes { bytes in
            CandleRecordWriter(symbol: symbol, interval: interval).write(fields, of: bytes, to: &expected)
            return [UInt8](unsafeUninitializedCapacity: encoder.bytes(of: fields)) { buffer, count in
                count = encoder.write(fields, of: bytes, to: UnsafeMutableRawBufferPointer(buffer))
            }
        }
        #expect(String(decoding: written, as: UTF8.self) == String(decoding: expected, as: UTF8.self))
        #expect(written.count == encoder.bytes(of: fields))
    }
}
