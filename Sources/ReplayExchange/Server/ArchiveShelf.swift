import Crypto
import MarketData
import ZlibBridge

/// The exchange's archive of whole days and months over the recordings: zipped lines and their checksums,
/// made when they are asked for.
///
/// Like the exchange's own files: no line of names, `True` and `False`, microseconds from 2025 on, and no
/// file for a day or month that is not over or has no record.
struct ArchiveShelf: Sendable {
    let market: Market
    /// Unix milliseconds.
    let now: Int64
    /// Candles that open in one of these are left out.
    let holes: @Sendable (_ symbol: String) -> [Range<Int64>]

    static let pathPrefix = "/data/spot/"
    /// Times of this moment on are microseconds: 2025-01-01.
    private static let microsecondsFrom: Int64 = 1_735_689_600_000

    struct File: Sendable {
        var symbol: String
        var bytes: [UInt8]
        /// 0 for a checksum.
        var recordCount: Int
    }

    /// The file at `path`; nil for any other path and for what is not published.
    func file(_ path: String) -> File? {
        let suffix = ".CHECKSUM"
        guard path.hasSuffix(suffix) else { return archive(path) }
        let name = path.dropLast(suffix.count)
        guard let archive = archive(String(name)) else { return nil }
        let digest = SHA256.hash(data: archive.bytes).hexText
        let text = "\(digest)  \(name.split(separator: "/").last ?? "")\n"
        return File(symbol: archive.symbol, bytes: Array(text.utf8), recordCount: 0)
    }

    /// `/data/spot/daily/klines/BTCUSDT/5m/BTCUSDT-5m-2024-08-01.zip`,
    /// `/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2024-08-08.zip`.
    private func archive(_ path: String) -> File? {
        let parts = path.dropFirst(Self.pathPrefix.count).split(separator: "/").map(String.init)
        guard path.hasPrefix(Self.pathPrefix), parts.count >= 4, let symbol = market.symbols[parts[2]],
            let file = parts.last, file.hasSuffix(".zip")
        else { return nil }
        let isKlines = parts[1] == "klines"
        let word = isKlines ? parts[3] : parts[1]
        let head = "\(parts[2])-\(word)-"
        guard parts.count == (isKlines ? 5 : 4), file.hasPrefix(head),
            let times = times(String(file.dropFirst(head.count).dropLast(4)), rhythm: parts[0])
        else { return nil }
        let lines: [UInt8] =
            switch word {
            case "trades" where !isKlines: trades(symbol, times)
            case "aggTrades" where !isKlines: aggregates(symbol, times)
            default: isKlines ? KlineInterval(keyText: word).map { candles(symbol, $0, times) } ?? [] : []
            }
        guard !lines.isEmpty else { return nil }
        return File(
            symbol: parts[2], bytes: ZipWriter.archive(String(file.dropLast(4)) + ".csv", lines),
            recordCount: lines.count { $0 == UInt8(ascii: "\n") })
    }

    /// The time of a file; nil when it is no date of that rhythm, or not over.
    private func times(_ date: String, rhythm: String) -> Range<Int64>? {
        let first = rhythm == "monthly" ? CivilDate(date + "-01") : CivilDate(date)
        guard let start = first?.startMilliseconds, rhythm == "daily" || rhythm == "monthly" else {
            return nil
        }
        let interval: KlineInterval = rhythm == "daily" ? .day1 : .month1
        let end = interval.openTime(after: start)
        return end <= now ? start..<end : nil
    }

    private func candles(_ market: SymbolMarket, _ interval: KlineInterval, _ times: Range<Int64>) -> [UInt8]
    {
        guard let series = market.series(KlineAggregation(interval: interval, offset: 0), now: now) else {
            return []
        }
        let rows = series.rows(from: times.lowerBound, through: times.upperBound - 1)
        let holes = holes(market.symbol.rawValue).map {
            series.rows(from: $0.lowerBound, through: $0.upperBound - 1)
        }
        var lines: [UInt8] = []
        for row in Selection.cut(holes, from: rows).joined() {
            for (index, element) in series.elements(of: row).enumerated() {
                if index > 0 { lines.append(UInt8(ascii: ",")) }
                lines.append(contentsOf: series.text[element])
                // The end of a candle is the last microsecond before the next one.
                if index == 0 { lines.appendText(microseconds(times) ? "000" : "") }
                if index == 6 { lines.appendText(microseconds(times) ? "999" : "") }
            }
            lines.append(UInt8(ascii: "\n"))
        }
        return lines
    }

    private func trades(_ market: SymbolMarket, _ times: Range<Int64>) -> [UInt8] {
        var lines: [UInt8] = []
        for trade in market.tape?.trades ?? [] where times.contains(trade.time) {
            lines.appendNumber(trade.id)
            lines.append(trade.price)
            lines.append(trade.quantity)
            lines.append(trade.price.times(trade.quantity))
            lines.append(trade.time, isMicroseconds: microseconds(times), trade.isBuyerMaker)
        }
        return lines
    }

    private func aggregates(_ market: SymbolMarket, _ times: Range<Int64>) -> [UInt8] {
        var lines: [UInt8] = []
        for trade in market.tape?.aggregates ?? [] where times.contains(trade.time) {
            lines.appendNumber(trade.id)
            lines.append(trade.price)
            lines.append(trade.quantity)
            lines.appendText(",")
            lines.appendNumber(trade.firstTradeID)
            lines.appendText(",")
            lines.appendNumber(trade.lastTradeID)
            lines.append(trade.time, isMicroseconds: microseconds(times), trade.isBuyerMaker)
        }
        return lines
    }

    private func microseconds(_ times: Range<Int64>) -> Bool { times.lowerBound >= Self.microsecondsFrom }
}

extension [UInt8] {
    fileprivate mutating func append(_ amount: DecimalAmount) {
        append(UInt8(ascii: ","))
        amount.write(to: &self)
    }

    /// The end of a trade's line.
    fileprivate mutating func append(_ time: Int64, isMicroseconds: Bool, _ isBuyerMaker: Bool) {
        append(UInt8(ascii: ","))
        appendNumber(isMicroseconds ? time * 1_000 : time)
        append(contentsOf: isBuyerMaker ? ",True,True\n".utf8 : ",False,True\n".utf8)
    }
}
