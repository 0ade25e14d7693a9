/// Decides about the files of one read: which is asked for, and what follows when one cannot be used.
///
/// With ``FeedSource/auto`` no file is ever needed. An archive that cannot be reached is not asked again in
/// the same read, or each of its days would wait for all tries.
struct ArchiveDesk: Sendable {
    enum Finding: Sendable {
        case file(ArchiveReader)
        /// The stretch is read from the REST API.
        case nothing
        /// The month's days are looked for.
        case days
    }

    let feed: BinanceFeed
    private var isUnreachable = false

    init(_ feed: BinanceFeed) { self.feed = feed }

    var isAuto: Bool { feed.configuration.source == .auto }

    /// - Throws: ``FeedError`` when there must be a file; `CancellationError`.
    mutating func find(_ file: ArchiveFile) async throws -> Finding {
        guard !isUnreachable else { return .nothing }
        do {
            if let spool = try await ArchiveFetcher(feed: feed).fetch(file) {
                let rowsMax = feed.configuration.pageRowsMax
                return .file(ArchiveReader(file: file, spool: spool, rowsMax: rowsMax))
            }
            if case .month = file.period { return .days }
            if !isAuto { throw ArchiveFault.missing(file) }
            return .nothing
        } catch let fault as ArchiveFault {
            guard case .month = file.period else {
                try forgive(fault)
                return .nothing
            }
            if fault.reason != .tooLarge { try forgive(fault) }
            // A month that is damaged or too large says nothing about its days.
            return isUnreachable ? .nothing : .days
        }
    }

    /// - Throws: ``FeedError`` where files are needed.
    mutating func forgive(_ fault: ArchiveFault) throws(FeedError) {
        guard isAuto else { throw fault.feedError }
        if fault.reason == .unavailable { isUnreachable = true }
        feed.observe(.filePassedOver(path: fault.path, reason: fault.detail))
    }
}
