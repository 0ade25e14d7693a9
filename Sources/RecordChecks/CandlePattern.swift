import Glibc
import MarketData

/// Recognises candles exactly as ``CandleRecordWriter`` writes them, many times faster than a JSON parser.
///
/// What it accepts is well-formed JSON with all fields of a candle, of this symbol and interval, whose key
/// belongs to its open time. Everything else it leaves to ``RecordReader``'s full parse: it never refuses.
struct CandlePattern: Sendable {
    private enum Field {
        /// 13 digits, kept to be compared with the next one of the kind.
        case openTime
        /// `123` or `123.45`: a JSON number is not meant, it stands in quotes.
        case decimal
        /// A JSON integer without sign.
        case integer
    }

    private struct Part {
        var literal: [UInt8]
        /// What follows the literal; nil at the end.
        var field: Field?
    }

    private static let timeDigits = 13

    private let parts: [Part]
    private let keyRange: Range<Int>

    init(symbol: Symbol, interval: KlineInterval) {
        let prefix = RecordKey.candlePrefix(symbol, interval)
        let start = "{\"_key\":\"".utf8.count
        keyRange = start..<(start + prefix.utf8.count + Self.timeDigits)
        let texts: [(String, Field?)] = [
            ("{\"_key\":\"\(prefix)", .openTime),
            ("\",\"symbol\":\"\(symbol)\",\"interval\":\"\(interval.keyText)\",\"open_time\":", .openTime),
            (",\"open\":\"", .decimal), ("\",\"high\":\"", .decimal), ("\",\"low\":\"", .decimal),
            ("\",\"close\":\"", .decimal), ("\",\"volume\":\"", .decimal), ("\",\"close_time\":", .integer),
            (",\"quote_volume\":\"", .decimal), ("\",\"trades\":", .integer),
            (",\"taker_buy_base\":\"", .decimal), ("\",\"taker_buy_quote\":\"", .decimal), ("\"}", nil),
        ]
        parts = texts.map { Part(literal: Array($0.utf8), field: $1) }
    }

    /// Where the key stands; nil when the bytes are not exactly such a candle.
    func key(in bytes: UnsafeRawBufferPointer) -> Range<Int>? {
        var position = 0
        for part in parts {
            let length = part.literal.count
            guard bytes.count - position >= length, let base = bytes.baseAddress else { return nil }
            let isEqual = part.literal.withUnsafeBytes { literal in
                literal.baseAddress.map { memcmp($0, base + position, length) == 0 } ?? false
            }
            guard isEqual else { return nil }
            position += length
            switch part.field {
            case .openTime:
                let end = Self.digitsEnd(bytes, position)
                guard end - position == Self.timeDigits, bytes[position] != UInt8(ascii: "0"),
                    memcmp(base + keyRange.upperBound - Self.timeDigits, base + position, Self.timeDigits)
                        == 0
                else { return nil }
                position = end
            case .decimal:
                var end = Self.digitsEnd(bytes, position)
                guard end > position else { return nil }
                if end < bytes.count, bytes[end] == UInt8(ascii: ".") {
                    let fraction = Self.digitsEnd(bytes, end + 1)
                    guard fraction > end + 1 else { return nil }
                    end = fraction
                }
                position = end
            case .integer:
                let end = Self.digitsEnd(bytes, position)
                let hasLeadingZero = end - position > 1 && bytes[position] == UInt8(ascii: "0")
                guard end > position, !hasLeadingZero else { return nil }
                position = end
            case nil: break
            }
        }
        return position == bytes.count ? keyRange : nil
    }

    private static func digitsEnd(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> Int {
        var end = start
        while end < bytes.count, bytes[end] &- UInt8(ascii: "0") < 10 { end += 1 }
        return end
    }
}
