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
        let prefix = candlePrefix(symbol, interval)
        let digits = key.dropFirst(prefix.count)
        guard key.hasPrefix(prefix), digits.count == 13 else { return nil }
        return Int64(digits)
    }

    /// `BTCUSDT-a-00000000003735683259`: 20 digits.
    package static func aggregateTrade(_ symbol: Symbol, id: Int64) -> String {
        "\(symbol)-a-" + zeroPadded(id, digits: 20)
    }

    /// `BTCUSDT-t-00000000003735683259`; raw trade ids and aggregate ids never meet.
    package static func trade(_ symbol: Symbol, id: Int64) -> String {
        "\(symbol)-t-" + zeroPadded(id, digits: 20)
    }
}
