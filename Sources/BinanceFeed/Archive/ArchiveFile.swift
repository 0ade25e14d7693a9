import MarketData

/// A file of the exchange's public archive: one symbol's records of one day or month, zipped, with a checksum
/// beside it (binance-public-data, README).
struct ArchiveFile: Sendable, Hashable {
    enum Content: Sendable, Hashable {
        case candles(KlineInterval)
        case trades(TradeKind)
    }

    enum Period: Sendable, Hashable {
        case day(CivilDate)
        /// By its first day.
        case month(CivilDate)
    }

    var symbol: Symbol
    var content: Content
    var period: Period

    /// e.g. `/data/spot/daily/klines/BTCUSDT/5m/BTCUSDT-5m-2024-08-01.zip`.
    var path: String { "/data/spot/\(folder)/\(symbol)-\(word)-\(date).zip" }
    var checksumPath: String { path + ".CHECKSUM" }

    /// When its first record may be. Unix milliseconds.
    var start: Int64 {
        switch period {
        case .day(let day), .month(let day): day.startMilliseconds
        }
    }

    private var folder: String {
        let rhythm = if case .day = period { "daily" } else { "monthly" }
        return switch content {
        case .candles(let interval): "\(rhythm)/klines/\(symbol)/\(interval.keyText)"
        case .trades: "\(rhythm)/\(word)/\(symbol)"
        }
    }

    private var word: String {
        switch content {
        case .candles(let interval): interval.keyText
        case .trades(.aggregate): "aggTrades"
        case .trades(.raw): "trades"
        }
    }

    private var date: String {
        switch period {
        case .day(let day): day.description
        case .month(let first): String(first.description.dropLast(3))
        }
    }
}

/// A part of a range that lies within one file. Unix milliseconds.
struct ArchivePart: Sendable, Hashable {
    var from: Int64
    var to: Int64
    /// nil: the file's time is not over within the range, so it may not be published or hold too much.
    var file: ArchiveFile?

    /// Cuts `from ..< to` at the ends of days; a month is one part when all of it lies in the range.
    ///
    /// So a read that goes on in the middle of a month takes days: no month's file is got twice.
    static func cut(
        _ symbol: Symbol, _ content: ArchiveFile.Content, from: Int64, to: Int64
    ) -> [ArchivePart] {
        var parts: [ArchivePart] = []
        var start = from
        while start < to {
            if let end = endOfMonth(from: start), end <= to {
                let file = ArchiveFile(symbol: symbol, content: content, period: .month(date(of: start)))
                parts.append(ArchivePart(from: start, to: end, file: file))
                start = end
            } else {
                parts.append(day(symbol, content, from: start, to: to))
                start = parts.last?.to ?? to
            }
        }
        return parts
    }

    /// The days of a month, for when its own file is not there or too large.
    var days: [ArchivePart] {
        guard let file else { return [] }
        var days: [ArchivePart] = []
        while (days.last?.to ?? from) < to {
            days.append(Self.day(file.symbol, file.content, from: days.last?.to ?? from, to: to))
        }
        return days
    }

    private static func day(
        _ symbol: Symbol, _ content: ArchiveFile.Content, from: Int64, to: Int64
    ) -> ArchivePart {
        let day = date(of: from)
        let end = day.startMilliseconds + CivilDate.millisecondsPerDay
        let file = ArchiveFile(symbol: symbol, content: content, period: .day(day))
        return ArchivePart(from: from, to: min(end, to), file: end <= to ? file : nil)
    }

    private static func date(of time: Int64) -> CivilDate {
        CivilDate(daysSince1970: floorDivide(time, CivilDate.millisecondsPerDay))
    }

    /// nil when no month begins at `start`.
    private static func endOfMonth(from start: Int64) -> Int64? {
        let day = date(of: start)
        return day.day == 1 && day.startMilliseconds == start
            ? KlineInterval.month1.openTime(after: start) : nil
    }
}
