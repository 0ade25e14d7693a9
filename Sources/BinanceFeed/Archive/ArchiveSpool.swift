import Crypto
import MarketData
import ServiceRuntime
import ZlibBridge

/// One file of the archive on its way: kept on disk until its checksum is known, then unpacked piece by
/// piece.
///
/// Disk and zlib work is done on a thread of its own. Memory: under 2 MiB, however large the file is.
actor ArchiveSpool {
    private let executor = QueueExecutor(label: "archive")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let file: SpoolFile
    private var digest = SHA256()
    private var rows: ArchiveRows<SpooledArchive>?

    init(folder: String) throws(SpoolError) {
        file = try SpoolFile(in: folder)
    }

    func append(_ bytes: [UInt8]) throws(SpoolError) {
        digest.update(data: bytes)
        try file.append(bytes)
    }

    var byteCount: Int { file.byteCount }

    /// SHA-256 of what was appended.
    var checksum: String { digest.finalize().hexText }

    /// At most `rowsMax` lines, each with its line feed; nil after the last.
    ///
    /// - Throws: ``ZipError``.
    func nextRows(_ rowsMax: Int) throws(ZipError) -> [UInt8]? {
        var rows: ArchiveRows<SpooledArchive>
        if let begun = self.rows { rows = begun } else { rows = try ArchiveRows(SpooledArchive(file: file)) }
        // Two owners would make each call copy what is unpacked.
        self.rows = nil
        let piece = try rows.next(rowsMax)
        self.rows = rows
        return piece
    }
}

private struct SpooledArchive: ZipSource {
    let file: SpoolFile

    var byteCount: Int { file.byteCount }

    func bytes(_ range: Range<Int>) throws(ZipError) -> [UInt8] {
        do throws(SpoolError) {
            return try file.bytes(range)
        } catch {
            throw ZipError(error.description)
        }
    }
}
