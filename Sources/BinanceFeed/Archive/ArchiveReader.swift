import MarketData
import ZlibBridge

/// Makes pages, like those of the REST API, of the lines of one file.
struct ArchiveReader: Sendable {
    let file: ArchiveFile
    let spool: ArchiveSpool
    let rowsMax: Int

    /// A trade's time may lie that far outside its file's: the exchange's clocks need not agree to the last.
    private static let slack: Int64 = 60_000

    /// The next candles that open at or after `start`; nil after the file's last line.
    ///
    /// - Parameter end: the end of the file's part of the range.
    /// - Throws: ``ArchiveFault``.
    func candles(of range: KlineRange, from start: Int64, to end: Int64) async throws -> KlinePage? {
        while let lines = try await nextLines() {
            do throws(ScanFailure) {
                var (bytes, table) = try ArchiveScanner.candles(lines)
                table.dropFirst(table.openTimes.prefix { $0 < start }.count)
                guard table.rowCount > 0 else { continue }
                let page = try KlinePage(bytes: bytes, table: table, of: range, start: start, end: end)
                guard page.rowCount == table.rowCount else {
                    throw ScanFailure(offset: page.rowCount, reason: "a candle that was not over")
                }
                return page
            } catch {
                throw ArchiveFault(.corrupt, file, error.text)
            }
        }
        return nil
    }

    /// The next trades behind `lastID`; nil after the file's last line or the range's end.
    ///
    /// - Throws: ``ArchiveFault``.
    func trades(of range: TradeRange, in part: ArchivePart, after lastID: Int64?) async throws -> TradePage? {
        while let lines = try await nextLines() {
            do throws(ScanFailure) {
                var (bytes, table) = try ArchiveScanner.trades(lines, range.kind)
                let times = (file.start - Self.slack)..<(part.to + Self.slack)
                if let stray = table.times.first(where: { !times.contains($0) }) {
                    throw ScanFailure(offset: 0, reason: "a trade of \(stray)")
                }
                if let lastID {
                    table.dropFirst(table.ids.prefix { $0 <= lastID }.count)
                } else {
                    table.dropFirst(table.times.prefix { $0 < range.from }.count)
                }
                guard table.rowCount > 0 else { continue }
                return try TradePage(bytes: bytes, table: table, of: range, firstID: lastID.map { $0 + 1 })
            } catch {
                throw ArchiveFault(.corrupt, file, error.text)
            }
        }
        return nil
    }

    private func nextLines() async throws -> [UInt8]? {
        do throws(ZipError) {
            return try await spool.nextRows(rowsMax)
        } catch {
            throw ArchiveFault(error, file)
        }
    }
}

extension ScanFailure {
    fileprivate var text: String { "at \(offset): \(reason)" }
}

extension KlineTable {
    mutating func dropFirst(_ count: Int) {
        openTimes.removeFirst(count)
        closeTimes.removeFirst(count)
        bounds.removeFirst(count * Self.fieldCount * 2)
    }
}

extension TradeTable {
    mutating func dropFirst(_ count: Int) {
        ids.removeFirst(count)
        times.removeFirst(count)
        if !firstTradeIDs.isEmpty { firstTradeIDs.removeFirst(count) }
        bounds.removeFirst(count * Field.allCases.count * 2)
    }
}
