import MarketData

/// One read of candles: files where there are any, the REST API for the rest.
struct CandleWalk {
    private let range: KlineRange
    private let feed: BinanceFeed
    private var desk: ArchiveDesk
    /// All candles that open before were passed on.
    private var next: Int64

    init(_ range: KlineRange, feed: BinanceFeed) {
        self.range = range
        self.feed = feed
        desk = ArchiveDesk(feed)
        next = range.firstOpenTime
    }

    /// Passes pages to `handle` as ``BinanceFeed/klines(_:isolation:handle:)`` does.
    mutating func run(
        isolation: isolated (any Actor)? = #isolation, handle: (KlinePage) async throws -> Void
    ) async throws {
        let end = range.closedEnd
        let content = ArchiveFile.Content.candles(range.interval)
        for part in ArchivePart.cut(range.symbol, content, from: next, to: end) {
            try await take(part, handle: handle)
        }
        try await askAPI(to: end, handle: handle)
    }

    /// What has no file stays behind; it is asked for in one go before the next file, or at the end.
    private mutating func take(
        _ part: ArchivePart, isolation: isolated (any Actor)? = #isolation,
        handle: (KlinePage) async throws -> Void
    ) async throws {
        guard let file = part.file else { return }
        switch try await desk.find(file) {
        case .nothing: return
        case .days:
            for day in part.days { try await take(day, handle: handle) }
        case .file(let reader):
            try await askAPI(to: part.from, handle: handle)
            do {
                try await read(reader, part, handle: handle)
            } catch let fault as ArchiveFault {
                try desk.forgive(fault)
            }
        }
    }

    private mutating func read(
        _ reader: ArchiveReader, _ part: ArchivePart, isolation: isolated (any Actor)? = #isolation,
        handle: (KlinePage) async throws -> Void
    ) async throws {
        while let page = try await reader.candles(of: range, from: next, to: part.to) {
            guard let last = page.lastOpenTime else { continue }
            let end = range.interval.openTime(after: last)
            if desk.isAuto, !page.holes.isEmpty {
                // The exchange may have what its file lacks.
                try await askAPI(to: end, handle: handle)
                continue
            }
            feed.note(page)
            next = end
            try await handle(page)
        }
        guard !desk.isAuto, next < part.to else { return }
        let rest = try KlinePage(bytes: [], table: KlineTable(), of: range, start: next, end: part.to)
        feed.note(rest)
        next = part.to
        try await handle(rest)
    }

    private mutating func askAPI(
        to end: Int64, isolation: isolated (any Actor)? = #isolation, handle: (KlinePage) async throws -> Void
    ) async throws {
        guard next < end else { return }
        var rest = range
        rest.from = next
        rest.to = end
        try await feed.restKlines(rest, handle: handle)
        next = end
    }
}

extension BinanceFeed {
    /// Tells of a page that came from a file.
    func note(_ page: some ExchangePage) {
        observe(.archiveRead(rowCount: page.rowCount))
        for hole in page.holes { observe(.holeFound(hole)) }
    }
}
