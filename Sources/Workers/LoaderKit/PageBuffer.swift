/// Hands pages from the reader to the writer, so that the next ones are read while a transaction is committed.
///
/// The writer takes all that is there: with a slow exchange each page gets its own transaction at once, with
/// a fast one a transaction takes what arrived during the one before. One reader, one writer.
actor PageBuffer<Page: Sendable> {
    enum Taken: Sendable {
        /// At least one page; `isLast` when nothing comes after them.
        case pages([Page], isLast: Bool)
        /// No page was left, and this is why none comes any more.
        case failed(any Error)
        case stopped
    }

    private enum Ending {
        case complete
        case failed(any Error)
    }

    private let pagesMax: Int
    private var pages: [Page] = []
    private var ending: Ending?
    private var isStopped = false
    private var waitingReader: CheckedContinuation<Void, Never>?
    private var waitingWriter: CheckedContinuation<Void, Never>?

    init(pagesMax: Int) {
        self.pagesMax = pagesMax
    }

    /// Waits for room.
    ///
    /// - Throws: `CancellationError` when no page is wanted any more.
    func put(_ page: Page) async throws {
        while pages.count >= pagesMax, !isStopped {
            await withCheckedContinuation { waitingReader = $0 }
        }
        if isStopped { throw CancellationError() }
        pages.append(page)
        wakeWriter()
    }

    /// Nothing comes any more.
    ///
    /// - Parameter error: nil when the last page was put.
    func end(_ error: (any Error)?) {
        if ending == nil { ending = error.map { .failed($0) } ?? .complete }
        wakeWriter()
    }

    /// Pages that wait are forgotten; a waiting reader or writer comes back.
    func stop() {
        isStopped = true
        pages = []
        wakeReader()
        wakeWriter()
    }

    /// Waits for pages and takes at most `max` of them.
    ///
    /// Pages that were read before an error are given first: they are good.
    func take(max: Int) async -> Taken {
        while true {
            if isStopped { return .stopped }
            if !pages.isEmpty || isComplete {
                let taken = Array(pages.prefix(max))
                pages.removeFirst(taken.count)
                wakeReader()
                return .pages(taken, isLast: pages.isEmpty && isComplete)
            }
            if case .failed(let error) = ending { return .failed(error) }
            await withCheckedContinuation { waitingWriter = $0 }
        }
    }

    private var isComplete: Bool {
        if case .complete = ending { true } else { false }
    }

    private func wakeReader() {
        waitingReader?.resume()
        waitingReader = nil
    }

    private func wakeWriter() {
        waitingWriter?.resume()
        waitingWriter = nil
    }
}
