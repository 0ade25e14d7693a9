import Glibc
import GraphModel

/// Finds the members of a stored record: one flat JSON object, as stores give it back.
///
/// What comes out of a store was valid JSON when it went in, so only its shape is followed.
struct RecordScanner {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    private init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Calls `member` with the names and the values of a record; strings come without their quotes.
    ///
    /// - Returns: false when the bytes are no flat object.
    static func scan(
        _ bytes: UnsafeRawBufferPointer, _ member: (_ name: Slice<UnsafeRawBufferPointer>, Range<Int>) -> Void
    ) -> Bool {
        var scanner = RecordScanner(bytes)
        return scanner.object(member)
    }

    private mutating func object(_ member: (Slice<UnsafeRawBufferPointer>, Range<Int>) -> Void) -> Bool {
        guard take("{") else { return false }
        if take("}") { return true }
        while true {
            guard let name = value(), take(":"), let value = value() else { return false }
            member(bytes[name], value)
            if take("}") { return true }
            guard take(",") else { return false }
        }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func skipBlanks() {
        while position < bytes.count, bytes[position] <= 0x20 { position += 1 }
    }

    /// A string without its quotes, or a word or number as it stands; nil for anything nested.
    private mutating func value() -> Range<Int>? {
        skipBlanks()
        guard position < bytes.count else { return nil }
        switch bytes[position] {
        case UInt8(ascii: "{"), UInt8(ascii: "["): return nil
        case UInt8(ascii: "\""):
            position += 1
            let start = position
            while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
                position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
            }
            guard position < bytes.count else { return nil }
            position += 1
            return start..<position - 1
        default:
            let start = position
            while position < bytes.count, !Self.isEnd(bytes[position]) { position += 1 }
            return position > start ? start..<position : nil
        }
    }

    private static func isEnd(_ byte: UInt8) -> Bool {
        byte <= 0x20 || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}")
    }
}

extension CandleValues {
    /// nil when the bytes are no stored candle.
    init?(json: [UInt8]) {
        var (openTime, close, volume) = (Double.nan, Double.nan, Double.nan)
        var (takerBuy, trades) = (Double.nan, Double.nan)
        let isRead = json.withUnsafeBytes { bytes in
            RecordScanner.scan(bytes) { name, range in
                switch name.count {
                case 9 where name.elementsEqual("open_time".utf8): openTime = number(bytes, range)
                case 5 where name.elementsEqual("close".utf8): close = number(bytes, range)
                case 6 where name.elementsEqual("volume".utf8): volume = number(bytes, range)
                case 6 where name.elementsEqual("trades".utf8): trades = number(bytes, range)
                case 14 where name.elementsEqual("taker_buy_base".utf8): takerBuy = number(bytes, range)
                default: break
                }
            }
        }
        guard isRead, let time = Int64(exactly: openTime),
            [close, volume, takerBuy, trades].allSatisfy(\.isFinite)
        else { return nil }
        self.init(
            openTime: time, close: close, volume: volume, takerBuyVolume: takerBuy, tradeCount: trades)
    }
}

/// The numbers of one trade.
struct TradeValues: Sendable, Hashable {
    var time: Int64
    var quantity: Double
    /// 1, or the fills of an aggregate.
    var fills: Double
    var isTakerBuy: Bool

    /// nil when the bytes are no stored trade.
    init?(json: [UInt8]) {
        var (time, quantity) = (Double.nan, Double.nan)
        var (firstFill, lastFill) = (0.0, 0.0)
        var isMakerBuy: Bool?
        let isRead = json.withUnsafeBytes { bytes in
            RecordScanner.scan(bytes) { name, range in
                switch name.count {
                case 4 where name.elementsEqual("time".utf8): time = number(bytes, range)
                case 8 where name.elementsEqual("quantity".utf8): quantity = number(bytes, range)
                case 14 where name.elementsEqual("is_buyer_maker".utf8):
                    isMakerBuy = bytes[range].elementsEqual("true".utf8)
                case 14 where name.elementsEqual("first_trade_id".utf8): firstFill = number(bytes, range)
                case 13 where name.elementsEqual("last_trade_id".utf8): lastFill = number(bytes, range)
                default: break
                }
            }
        }
        guard isRead, let time = Int64(exactly: time), quantity.isFinite, let isMakerBuy,
            firstFill.isFinite, lastFill.isFinite
        else { return nil }
        self.time = time
        self.quantity = quantity
        fills = lastFill - firstFill + 1
        isTakerBuy = !isMakerBuy
    }
}

/// NaN when the characters are no number.
private func number(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Double {
    guard let base = bytes.baseAddress, !range.isEmpty else { return .nan }
    // A record goes on after each of its values, so reading ends inside of it.
    let start = (base + range.lowerBound).assumingMemoryBound(to: CChar.self)
    var end: UnsafeMutablePointer<CChar>?
    let value = strtod(start, &end)
    return end == UnsafeMutablePointer(mutating: start) + range.count ? value : .nan
}
