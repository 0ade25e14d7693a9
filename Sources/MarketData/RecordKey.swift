/// Keys of records: fixed width per kind, so that key order is time order (or id order).
package enum RecordKey {
    /// `BTCUSDT-5m-1722470400000`: 13 digits, enough until the year 2286.
    package static func candle(_ symbol: Symbol, _ interval: KlineInterval, openTime: Int64) -> String {
        candlePrefix(symbol, interval) + zeroPadded(openTime, digits: 13)
    }

    /// The part of a candle's key before its time, e.g. `BTCUSDT-5m-`.
    package static func candlePrefix(_ symbol: Symbol, _ interval: KlineInterval) -> String {
        "\(symbol)-\(interval.keyText)-"
    }

    /// The open time in a candle's key; nil when `key` is no such key of this symbol and interval.
    package static func openTime(ofCandle key: String, _ symbol: Symbol, _ interval: KlineInterval) -> Int64?
    {
        number(in: key, after: candlePrefix(symbol, interval), digits: 13)
    }

    /// Digits of a trade's id in its key; ids are below 10 to the 18th.
    package static let tradeIDDigits = 20

    /// `BTCUSDT-a-00000000003735683259` for an aggregate trade, `BTCUSDT-t-…` for a raw one: 20 digits; the two
    /// id spaces never meet.
    package static func trade(_ symbol: Symbol, _ kind: TradeKind, id: Int64) -> String {
        tradePrefix(symbol, kind) + zeroPadded(id, digits: tradeIDDigits)
    }

    /// The part of a trade's key before its id, e.g. `BTCUSDT-t-`.
    package static func tradePrefix(_ symbol: Symbol, _ kind: TradeKind) -> String {
        "\(symbol)-\(kind == .aggregate ? "a" : "t")-"
    }

    /// The id in a trade's key; nil when `key` is no such key of this symbol and kind.
    package static func tradeID(ofTrade key: String, _ symbol: Symbol, _ kind: TradeKind) -> Int64? {
        number(in: key, after: tradePrefix(symbol, kind), digits: tradeIDDigits)
    }

    private static func number(in key: String, after prefix: String, digits count: Int) -> Int64? {
        let digits = key.utf8.dropFirst(prefix.utf8.count)
        guard key.hasPrefix(prefix), digits.count == count, digits.allSatisfy(\.isDecimalDigit) else {
            return nil
        }
        return Int64(String(digits) ?? "")
    }
}

extension UInt8 {
    fileprivate var isDecimalDigit: Bool { (0x30...0x39).contains(self) }
}
