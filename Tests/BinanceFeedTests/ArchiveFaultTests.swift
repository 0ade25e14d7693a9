import Foundation
import HTTPBridge
import MarketData
import Testing
import ZlibBridge

@testable import BinanceFeed

/// Files that are missing, late, wrong or too large: with `auto` the records are those of the API all the
/// same, with `archive` the error names the file.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct ArchiveFaultTests {
    private static let day: Int64 = 86_400_000
    private static let from = BinanceFeedTests.start
    private static let to = from + 3 * day

    /// What can be wrong with a file.
    enum Defect: CaseIterable {
        case isMissing, hasWrongChecksum, hasNoChecksum, isCut, isNoArchive, isBomb, liesAboutItsSize,
            hasNoLines
        case hasBadLine, isOfAnotherDay
    }

    @Test(arguments: Defect.allCases)
    func `a bad file of candles gives what the API gives, or an error`(defect: Defect) async throws {
        try await FeedFixture.run { fixture in
            try await FakeArchive.run { url, archive in
                let range = try fixture.range(from: Self.from, to: Self.to, asOf: Self.to)
                let days = ArchivePart.cut(range.symbol, .candles(.minute5), from: Self.from, to: Self.to)
                let files = days.compactMap(\.file)
                for file in files { try await archive.copy(file, from: fixture) }
                let bad = files[1]
                try await Self.spoil(bad, defect, archive, fixture)

                let wanted = try await fixture.candles(range, with: fixture.archiveFeed(.rest))
                #expect(wanted.rows.count == 864)
                #expect(try await fixture.candles(range, with: fixture.archiveFeed(.auto, url)) == wanted)
                #expect(archive.count(files[2]) == 1)
                let error = await #expect(throws: FeedError.self) {
                    try await fixture.candles(range, with: fixture.archiveFeed(.archive, url))
                }
                #expect(error?.operation == "archive \(bad.path)")
                #expect(error?.code == (defect == .isMissing ? .unavailable : .corrupt))
            }
        }
    }

    private static func spoil(
        _ file: ArchiveFile, _ defect: Defect, _ archive: FakeArchive, _ fixture: FeedFixture
    ) async throws {
        let line = Array("1722556800000,1,1,1,1,1,1722557099999,1,1,1,1,0\n".utf8)
        let good = ZipWriter.archive("a.csv", line)
        switch defect {
        case .isMissing:
            var other = file
            other.content = .candles(.hour1)
            archive.drop(file)
            archive.put(other, good)
        case .hasWrongChecksum: archive.put(file, good, checksumOf: line)
        case .hasNoChecksum: archive.putChecksum(file, Array("<html>sorry</html>".utf8))
        case .isCut: archive.put(file, Array(good.dropLast(30)))
        case .isNoArchive: archive.put(file, line)
        case .isBomb:
            archive.put(file, ZipWriter.archive("a.csv", [UInt8](repeating: 0, count: 8 << 20)))
        case .liesAboutItsSize:
            var lying = ZipWriter.archive("a.csv", line + line)
            // The length in the directory, 24 bytes behind its beginning.
            let directory = try #require(
                lying.indices.last { lying[$0...].starts(with: [0x50, 0x4B, 1, 2]) })
            lying[directory + 24] = UInt8(line.count)
            archive.put(file, lying)
        case .hasNoLines:
            archive.put(file, ZipWriter.archive("a.csv", Array(0...255).flatMap { [$0, 9, 200] }))
        case .hasBadLine: try await archive.copy(file, from: fixture) { $0[150] = "1,2,3" }
        case .isOfAnotherDay:
            archive.put(file, ZipWriter.archive("a.csv", line.map { $0 == 0x35 ? 0x36 : $0 }))
        }
    }

    @Test(arguments: [0..<1, 0..<40, 100..<101, 100..<180, 250..<288, 0..<287])
    func `candles that a file lacks are those of the API`(missing: Range<Int>) async throws {
        try await FeedFixture.run { fixture in
            try await FakeArchive.run { url, archive in
                let range = try fixture.range(from: Self.from, to: Self.to, asOf: Self.to)
                let days = ArchivePart.cut(range.symbol, .candles(.minute5), from: Self.from, to: Self.to)
                for file in days.compactMap(\.file) {
                    try await archive.copy(file, from: fixture) { $0.removeSubrange(missing) }
                }
                let wanted = try await fixture.candles(range, with: fixture.archiveFeed(.rest))
                #expect(try await fixture.candles(range, with: fixture.archiveFeed(.auto, url)) == wanted)
                let files = try await fixture.candles(range, with: fixture.archiveFeed(.archive, url))
                #expect(files.rows.count == 3 * (288 - missing.count))
                #expect(files.holes.map(\.recordCount).reduce(0, +) == Int64(3 * missing.count))
            }
        }
    }

    @Test(arguments: TradeKind.allCases, [0..<1, 0..<60, 50..<51, 100..<1_400])
    func `trades that a file lacks are those of the API`(kind: TradeKind, missing: Range<Int>) async throws {
        try await FeedFixture.run { fixture in
            try await FakeArchive.run { url, archive in
                let range = try TradeFeedTests.range(kind)
                for file in try Self.tradeFiles(kind) {
                    // At the beginning, in the middle, and at the end.
                    try await archive.copy(file, from: fixture) { lines in
                        lines.removeSubrange(missing)
                        lines.removeLast(missing.count)
                    }
                }
                let wanted = try await fixture.trades(range)
                #expect(try await fixture.trades(range, with: fixture.archiveFeed(.auto, url)) == wanted)
            }
        }
    }

    private static func tradeFiles(_ kind: TradeKind) throws -> [ArchiveFile] {
        let (from, to) = (TradeFeedTests.midnight - day, TradeFeedTests.midnight + day)
        let symbol = try #require(Symbol("BTCUSDT"))
        return ArchivePart.cut(symbol, .trades(kind), from: from, to: to).compactMap(\.file)
    }

    private struct Stopped: Error {}

    @Test(arguments: TradeKind.allCases)
    func `a read that was stopped goes on with files that came late`(kind: TradeKind) async throws {
        try await FeedFixture.run { fixture in
            try await FakeArchive.run { url, archive in
                let range = try TradeFeedTests.range(kind)
                let wanted = try await fixture.trades(range)
                let files = try Self.tradeFiles(kind)
                var reading = TradeReading()
                // At each stop another file has come; the second time none goes on from the API any more.
                for published in [[], [files[0]], files] {
                    for file in published { try await archive.copy(file, from: fixture) }
                    let last = reading.records.last.map { TradePosition(id: $0.id, time: $0.time) }
                    var pages = 0
                    do {
                        try await fixture.archiveFeed(.auto, url).trades(range, after: last) { page in
                            reading.add(page)
                            pages += 1
                            if pages == 2, published.count < files.count { throw Stopped() }
                        }
                    } catch is Stopped {}
                }
                #expect(reading == wanted)
                #expect(archive.count(files[1]) > 0)
            }
        }
    }

    @Test func `a file that is too long is read from the API, a month by its days`() async throws {
        try await FeedFixture.run { fixture in
            let range = try fixture.range()
            let wanted = try await fixture.candles(range, with: fixture.archiveFeed(.rest))
            let feed = fixture.archiveFeed(.archive) { $0.archiveBytesMax = 60_000 }
            #expect(try await fixture.candles(range, with: feed) == wanted)
            // The checksum of the month, 31 days, and their checksums; the month itself was broken off.
            #expect(fixture.exchange.statistics.answers["archive 200"] == 64)
            let small = fixture.archiveFeed(.archive) { $0.archiveBytesMax = 100 }
            let error = await #expect(throws: FeedError.self) {
                try await fixture.candles(range, with: small)
            }
            #expect(error?.code == .refused && error?.detail.contains("EXCHANGE_ARCHIVE_BYTES_MAX") == true)
            let auto = fixture.archiveFeed(.auto) { $0.archiveBytesMax = 100 }
            #expect(try await fixture.candles(range, with: auto) == wanted)
        }
    }

    @Test func `a month that is damaged is read by its days`() async throws {
        try await FeedFixture.run { fixture in
            try await FakeArchive.run { url, archive in
                let range = try fixture.range()
                let wanted = try await fixture.candles(range, with: fixture.archiveFeed(.rest))
                let parts = ArchivePart.cut(
                    range.symbol, .candles(.minute5), from: range.from, to: BinanceFeedTests.monthEnd)
                let month = try #require(parts.first)
                #expect(parts.count == 1 && month.days.count == 31)
                for file in month.days.compactMap(\.file) { try await archive.copy(file, from: fixture) }
                archive.put(try #require(month.file), Array("damaged".utf8), checksumOf: [])
                #expect(try await fixture.candles(range, with: fixture.archiveFeed(.auto, url)) == wanted)
                for file in month.days.compactMap(\.file) { #expect(archive.count(file) == 1) }
                let error = await #expect(throws: FeedError.self) {
                    try await fixture.candles(range, with: fixture.archiveFeed(.archive, url))
                }
                #expect(error?.code == .corrupt)
            }
        }
    }

    @Test func `an archive that nobody serves is given up once`() async throws {
        try await FeedFixture.run { fixture in
            let range = try fixture.range(from: Self.from, to: Self.to, asOf: Self.to)
            let wanted = try await fixture.candles(range, with: fixture.archiveFeed(.rest))
            let feed = fixture.archiveFeed(.auto, "http://127.0.0.1:9")
            #expect(try await fixture.candles(range, with: feed) == wanted)
            let passed = fixture.observations.all.filter {
                if case .filePassedOver = $0 { true } else { false }
            }
            #expect(passed.count == 1)
        }
    }

    @Test func `a folder that cannot be written to is named`() async throws {
        try await FeedFixture.run { fixture in
            let range = try fixture.range(from: Self.from, to: Self.to, asOf: Self.to)
            let feed = fixture.archiveFeed(.archive) { $0.archiveFolder = "/nowhere/at/all" }
            let error = await #expect(throws: FeedError.self) { try await fixture.candles(range, with: feed) }
            #expect(error?.detail == "cannot make a file in /nowhere/at/all: No such file or directory")
            #expect(error?.isRetriable == true)
        }
    }

    @Test func `broken answers and damaged files are asked for again`() async throws {
        let seed = UInt64.random(in: 0..<1_000_000)
        try await FeedFixture.run {
            $0.faults.serverErrorShare = 0.2
            $0.faults.cutBodyShare = 0.2
            $0.faults.archiveDamageShare = 0.2
            $0.seed = seed
        } _: { fixture in
            let feed = fixture.archiveFeed(.archive) { $0.archiveAttemptsMax = 50 }
            let reading = try await fixture.trades(try TradeFeedTests.range(), with: feed)
            #expect(reading.ids == Array(TradeFeedTests.ids), "seed \(seed)")
        }
    }
}
