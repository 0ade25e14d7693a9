/// The wire form of a candle: one JSON object, decimals as the exchange sent them.
///
/// The writer takes byte ranges straight from the exchange's answer, so that a value is copied once and
/// never parsed into a number and back.
package struct CandleRecordWriter: Sendable {
    /// `{"_key":"BTCUSDT-5m-`
    private let head: [UInt8]
    /// `","symbol":"BTCUSDT","interval":"5m","open_time":`
    private let middle: [UInt8]
    /// `BTCUSDT-5m-`
    package let keyPrefix: [UInt8]

    package init(symbol: Symbol, interval: KlineInterval) {
        let prefix = RecordKey.candlePrefix(symbol, interval)
        keyPrefix = Array(prefix.utf8)
        head = Array("{\"_key\":\"\(prefix)".utf8)
        middle = Array("\",\"symbol\":\"\(symbol)\",\"interval\":\"\(interval.keyText)\",\"open_time\":".utf8)
    }

    /// The fields of one candle as slices of `bytes`; times and counts are JSON numbers, the others the
    /// characters between the quotes.
    package struct Fields: Sendable {
        package var openTime: Range<Int>
        package var open: Range<Int>
        package var high: Range<Int>
        package var low: Range<Int>
        package var close: Range<Int>
        package var volume: Range<Int>
        package var closeTime: Range<Int>
        package var quoteVolume: Range<Int>
        package var trades: Range<Int>
        package var takerBuyBase: Range<Int>
        package var takerBuyQuote: Range<Int>

        package init(_ ranges: [Range<Int>]) {
            precondition(ranges.count >= 11, "a kline has at least 11 elements that we use")
            openTime = ranges[0]
            open = ranges[1]
            high = ranges[2]
            low = ranges[3]
            close = ranges[4]
            volume = ranges[5]
            closeTime = ranges[6]
            quoteVolume = ranges[7]
            trades = ranges[8]
            takerBuyBase = ranges[9]
            takerBuyQuote = ranges[10]
        }
    }

    /// Appends the JSON text of one candle to `output`.
    ///
    /// - Precondition: `fields.openTime` is 13 digits, as every time from 2001 to 2286 is.
    package func write(_ fields: Fields, of bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        output.append(contentsOf: head)
        output.append(contentsOf: bytes[fields.openTime])
        output.append(contentsOf: middle)
        output.append(contentsOf: bytes[fields.openTime])
        output.append(",\"open\":\"", bytes[fields.open])
        output.append("\",\"high\":\"", bytes[fields.high])
        output.append("\",\"low\":\"", bytes[fields.low])
        output.append("\",\"close\":\"", bytes[fields.close])
        output.append("\",\"volume\":\"", bytes[fields.volume])
        output.append("\",\"close_time\":", bytes[fields.closeTime])
        output.append(",\"quote_volume\":\"", bytes[fields.quoteVolume])
        output.append("\",\"trades\":", bytes[fields.trades])
        output.append(",\"taker_buy_base\":\"", bytes[fields.takerBuyBase])
        output.append("\",\"taker_buy_quote\":\"", bytes[fields.takerBuyQuote])
        output.append(UInt8(ascii: "\""))
        output.append(UInt8(ascii: "}"))
    }
}
