import MarketData

/// Reads a candle recording: `<SYMBOL>-<interval>.csv.gz` with the header
/// `open_time`, `open`, `high`, `low`, `close`, `volume`, `close_time`, `quote_volume`, `trades`,
/// `taker_buy_base`, `taker_buy_quote`, `ignore`.
///
/// Columns after the sixth may be empty: the source lacks them, and they are served as zeros.
enum CandleFile {
    struct Candles: Sendable {
        var series: KlineSeries
        /// Whether trades, quote volume and taker volumes are recorded.
        var hasAllColumns: Bool
        var pricePlaces: Int
        var quantityPlaces: Int
    }

    /// - Throws: ``ReplayError`` `unreadable`, or `malformed` naming the line.
    static func read(_ path: String, interval: KlineInterval) throws(ReplayError) -> Candles {
        let bytes = try ReplayError.reading(path)
        var result = Candles(
            series: KlineSeries(interval: interval), hasAllColumns: true, pricePlaces: 0, quantityPlaces: 0)
        result.series.reserve(rowCount: bytes.count / 48)
        let badLine = bytes.withUnsafeBytes { bytes -> Int? in
            var lines = CommaLines(bytes)
            guard lines.next(), lines.field(0).elementsEqual("open_time".utf8) else { return 1 }
            while lines.next() {
                guard append(lines, to: &result) else { return lines.lineNumber }
            }
            return nil
        }
        if let badLine {
            throw ReplayError(
                .malformed, "read \(path)", "line \(badLine) is no candle of \(interval.rawValue)")
        }
        return result
    }

    private static func append(_ line: CommaLines, to candles: inout Candles) -> Bool {
        guard let openTime = line.number(0) else { return false }
        let interval = candles.series.interval
        guard interval.openTime(containing: openTime) == openTime else { return false }
        let closeTime = interval.openTime(after: openTime) - 1
        guard line.field(6).isEmpty || line.number(6) == closeTime else { return false }
        let isComplete = (7...10).allSatisfy { !line.field($0).isEmpty }
        candles.hasAllColumns = candles.hasAllColumns && isComplete
        for column in 1...4 {
            candles.pricePlaces = max(candles.pricePlaces, placeCount(line.field(column)))
        }
        candles.quantityPlaces = max(candles.quantityPlaces, placeCount(line.field(5)))
        return candles.series.append(openTime: openTime) { text in
            for column in 1...5 {
                text.appendText(",\"")
                guard text.appendPadded(line.field(column)) else { return false }
                text.append(UInt8(ascii: "\""))
            }
            text.append(UInt8(ascii: ","))
            text.appendNumber(closeTime)
            return appendTail(line, isComplete: isComplete, to: &text)
        }
    }

    private static func appendTail(_ line: CommaLines, isComplete: Bool, to text: inout [UInt8]) -> Bool {
        guard isComplete else {
            text.appendText(#","0.00000000",0,"0.00000000","0.00000000","0""#)
            return true
        }
        guard let trades = line.number(8) else { return false }
        text.appendText(",\"")
        guard text.appendPadded(line.field(7)) else { return false }
        text.appendText("\",")
        text.appendNumber(trades)
        for column in 9...10 {
            text.appendText(column == 9 ? ",\"" : "\",\"")
            guard text.appendPadded(line.field(column)) else { return false }
        }
        text.appendText("\",\"0\"")
        return true
    }

    private static func placeCount(_ text: UnsafeRawBufferPointer.SubSequence) -> Int {
        text.firstIndex(of: UInt8(ascii: ".")).map { text.endIndex - $0 - 1 } ?? 0
    }
}
