import Foundation
import MarketData
import TestSupport
import Testing

@testable import BinanceFeed

/// A disk without room for a file of the archive.
@Suite(
    .serialized, .timeLimit(.minutes(2)),
    .enabled(if: TemporaryDisk.isPossible, "\(TemporaryDisk.skipReason)"))
struct ArchiveDiskTests {
    private static let day: Int64 = 86_400_000
    private static let from = BinanceFeedTests.start
    private static let to = from + 2 * day

    /// A file that leaves `room` bytes of the disk.
    private static func fill(_ folder: String, leaving room: Int) throws -> String {
        let path = "\(folder)/filler"
        let page = 4_096
        #expect(FileManager.default.createFile(atPath: path, contents: nil))
        let file = try #require(FileHandle(forWritingAtPath: path))
        defer { try? file.close() }
        let bytes = Data(repeating: 7, count: page)
        var written = 0
        // Ends when the disk is full.
        while (try? file.write(contentsOf: bytes)) != nil { written += page }
        try file.truncate(atOffset: UInt64(written - room))
        return path
    }

    @Test func `a full disk is told by the file's name, with auto the API is read, and room is enough later`()
        async throws
    {
        try await TemporaryDisk.run(megabytes: 1) { folder in
            try await FeedFixture.run { fixture in
                let range = try fixture.range(from: Self.from, to: Self.to, asOf: Self.to)
                let wanted = try await fixture.candles(range, with: fixture.archiveFeed(.rest))
                let filler = try Self.fill(folder, leaving: 4_096)

                let files = fixture.archiveFeed(.archive) { $0.archiveFolder = folder }
                let error = await #expect(throws: FeedError.self) {
                    try await fixture.candles(range, with: files)
                }
                #expect(error?.detail == "cannot write to \(folder): No space left on device")
                #expect(error?.operation.hasPrefix("archive ") == true && error?.isRetriable == true)

                let auto = fixture.archiveFeed(.auto) { $0.archiveFolder = folder }
                #expect(try await fixture.candles(range, with: auto) == wanted)
                let passed = fixture.observations.all.compactMap { observation -> String? in
                    if case .filePassedOver(_, let reason) = observation { reason } else { nil }
                }
                #expect(passed.count == 1 && passed[0].contains("No space left on device"))
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["filler"])

                try FileManager.default.removeItem(atPath: filler)
                #expect(try await fixture.candles(range, with: files) == wanted)
            }
        }
    }
}
