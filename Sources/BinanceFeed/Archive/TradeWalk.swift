import MarketData

/// One read of trades: files where there are any, the REST API for the rest.
///
/// With ``FeedSource/auto`` the API is also asked for the first trade of the range and for what follows the
/// last one of a file at its end, so that a file that lacks some there is noticed; between, missing ids tell.
struct TradeWalk {
    private let range: TradeRange
    private let feed: BinanceFeed
    private var desk: ArchiveDesk
    /// The trade passed on last; nil before the first.
    private var lastID: Int64?
    /// All trades before this time were passed on, but for what the last file may lack at its end.
    private var done: Int64
    private var mustCheckEnd = false
    /// A trade at or behind the range's end was seen.
    private var isOver = false

    init(_ range: TradeRange, after last: TradePosition?, feed: BinanceFeed) {
        self.range = range
        self.feed = feed
        desk = ArchiveDesk(feed)
        lastID = last?.id
        done = max(range.from, last?.time ?? range.from)
    }

    /// Passes pages to `handle` as ``BinanceFeed/trades(_:after:isolation:handle:)`` does.
    mutating func run(
        isolation: isolated (any Actor)? = #isolation, handle: (TradePage) async throws -> Void
    ) async throws {
        let content = ArchiveFile.Content.trades(range.kind)
        for part in ArchivePart.cut(range.symbol, content, from: done, to: range.end) {
            try await take(part, handle: handle)
        }
        guard !isOver, done < range.end || mustCheckEnd else { return }
        try await askAPI(to: range.end, handle: handle)
    }

    /// What has no file stays behind; it is asked for in one go before the next file, or at the end.
    private mutating func take(
        _ part: ArchivePart, isolation: isolated (any Actor)? = #isolation,
        handle: (TradePage) async throws -> Void
    ) async throws {
        guard !isOver, let file = part.file else { return }
        switch try await desk.find(file) {
        case .nothing: return
        case .days:
            for day in part.days { try await take(day, handle: handle) }
        case .file(let reader):
            if done < part.from { try await askAPI(to: part.from, handle: handle) }
            if desk.isAuto, lastID == nil { try await findFirst() }
            do {
                try await read(reader, part, handle: handle)
                done = part.to
                mustCheckEnd = desk.isAuto && lastID != nil
            } catch let fault as ArchiveFault {
                try desk.forgive(fault)
            }
        }
    }

    private mutating func read(
        _ reader: ArchiveReader, _ part: ArchivePart, isolation: isolated (any Actor)? = #isolation,
        handle: (TradePage) async throws -> Void
    ) async throws {
        while !isOver, let page = try await reader.trades(of: range, in: part, after: lastID) {
            isOver = page.nextID == nil
            guard let last = page.lastRow else { continue }
            if desk.isAuto, !page.holes.isEmpty {
                // The exchange may have what its file lacks: everything up to the page's last trade.
                try await askAPI(to: min(last.time + 1, range.end), handle: handle)
                continue
            }
            feed.note(page)
            lastID = last.id
            try await handle(page)
        }
    }

    /// The first trade of the range as the API tells it: the file must begin with it.
    private mutating func findFirst() async throws {
        var rest = range
        rest.from = done
        if let page = try await TradeFetcher(feed: feed, range: rest).firstPage(), page.rowCount > 0 {
            lastID = page.id(row: 0) - 1
        }
    }

    private mutating func askAPI(
        to end: Int64, isolation: isolated (any Actor)? = #isolation, handle: (TradePage) async throws -> Void
    ) async throws {
        var rest = range
        rest.from = min(done, end - 1)
        rest.to = end
        var last = lastID
        try await feed.restTrades(rest, after: last) { page in
            if let row = page.lastRow { last = row.id }
            try await handle(page)
        }
        lastID = last
        done = max(done, end)
    }
}
