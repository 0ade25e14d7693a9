import Testing
import ZlibBridge

struct ZipTests {
    private static func unpacked(_ archive: [UInt8]) throws -> [UInt8] {
        let stream = try ZipStream(archive)
        var bytes: [UInt8] = []
        while let piece = try stream.next() { bytes += piece }
        return bytes
    }

    /// `BTC.csv` with `1,2\n`, stored without packing, as `zip -0` writes it.
    private static let stored: [UInt8] = {
        let name = Array("BTC.csv".utf8)
        let common: [UInt8] =
            [10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0] + [0x33, 0x42, 0x21, 0x55] + [4, 0, 0, 0, 4, 0, 0, 0]
            + [7, 0, 0, 0]
        let file: [UInt8] = [0x50, 0x4B, 3, 4] + common + name + Array("1,2\n".utf8)
        let entry: [UInt8] =
            [0x50, 0x4B, 1, 2, 20, 0] + common + [UInt8](repeating: 0, count: 14) + name
        let end: [UInt8] =
            [
                0x50, 0x4B, 5, 6, 0, 0, 0, 0, 1, 0, 1, 0, UInt8(entry.count), 0, 0, 0, UInt8(file.count), 0,
                0, 0, 0, 0,
            ]
        return file + entry + end
    }()

    @Test(arguments: [0, 1, 1_000, 1 << 18, 1_000_000]) func `what was packed is unpacked`(count: Int) throws
    {
        let content = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* $0 / 7) }
        let archive = ZipWriter.archive("BTCUSDT-5m-2024-08-01.csv", content)
        #expect(try ZipEntry(onlyEntryOf: archive).name == "BTCUSDT-5m-2024-08-01.csv")
        #expect(try Self.unpacked(archive) == content)
    }

    @Test func `stored files are read too`() throws {
        #expect(try Self.unpacked(Self.stored) == Array("1,2\n".utf8))
    }

    /// Notes how much is asked for at once.
    private final class NotingSource: ZipSource {
        let bytes: [UInt8]
        var countMax = 0
        var byteCount: Int { bytes.count }

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        func bytes(_ range: Range<Int>) -> [UInt8] {
            countMax = max(countMax, range.count)
            return Array(bytes[range])
        }
    }

    @Test func `an archive is read and unpacked in pieces of bounded size`() throws {
        var random = SystemRandomNumberGenerator()
        let content = (0..<400_000).flatMap { _ in withUnsafeBytes(of: random.next()) { Array($0) } }
        let source = NotingSource(ZipWriter.archive("a.csv", content))
        let stream = try ZipStream(source)
        var (count, pieceMax) = (0, 0)
        while let piece = try stream.next() {
            count += piece.count
            pieceMax = max(pieceMax, piece.count)
        }
        #expect(count == content.count)
        #expect(source.countMax <= 256 << 10 && pieceMax <= 256 << 10)
    }

    @Test func `a small archive that unpacks to very much is refused`() throws {
        let bomb = ZipWriter.archive("a.csv", [UInt8](repeating: 0, count: 4 << 20))
        let error = #expect(throws: ZipError.self) { try ZipStream(bomb) }
        #expect(error?.detail.hasSuffix("bytes unpack to 4194304, more than 200 times as many") == true)
    }

    @Test func `an archive that is cut anywhere is refused`() {
        let archive = ZipWriter.archive("a.csv", Array("1,2,3\n4,5,6\n".utf8))
        for length in 0..<archive.count {
            #expect(throws: ZipError.self) { try Self.unpacked(Array(archive.prefix(length))) }
        }
    }

    @Test func `a damaged byte is found or does no harm`() throws {
        let content = Array("1723161600000,61686.00000000,0.00011\n".utf8)
        let archive = ZipWriter.archive("a.csv", content)
        for index in archive.indices {
            for bit in 0..<8 {
                var damaged = archive
                damaged[index] ^= 1 << bit
                guard let bytes = try? Self.unpacked(damaged) else { continue }
                #expect(bytes == content, "byte \(index), bit \(bit)")
            }
        }
    }
}
