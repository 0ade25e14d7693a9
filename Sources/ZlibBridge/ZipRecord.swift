/// A few bytes of an archive that hold numbers, lowest byte first.
struct ZipRecord {
    /// A directory of one entry: its head and three texts of at most 65,535 bytes.
    static let bytesMax = 256 << 10

    private let bytes: [UInt8]

    /// - Parameter problem: what is wrong when the archive is shorter.
    init(_ archive: some ZipSource, at start: UInt64, count: Int, _ problem: String) throws(ZipError) {
        guard count >= 0, start <= UInt64(archive.byteCount), count <= archive.byteCount - Int(start) else {
            throw ZipError(problem)
        }
        bytes = try archive.bytes(Int(start)..<(Int(start) + count))
    }

    var count: Int { bytes.count }

    func part(_ start: Int, _ length: Int) throws(ZipError) -> ArraySlice<UInt8> {
        guard start >= 0, length >= 0, start <= bytes.count, length <= bytes.count - start else {
            throw ZipError("it is cut or damaged")
        }
        return bytes[start..<(start + length)]
    }

    func word16(_ start: Int) throws(ZipError) -> UInt16 { UInt16(truncatingIfNeeded: try number(start, 2)) }
    func word32(_ start: Int) throws(ZipError) -> UInt32 { UInt32(truncatingIfNeeded: try number(start, 4)) }
    func word64(_ start: Int) throws(ZipError) -> UInt64 { try number(start, 8) }

    private func number(_ start: Int, _ length: Int) throws(ZipError) -> UInt64 {
        try part(start, length).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// Where the directory of an archive lies, as its last bytes tell (APPNOTE 4.3.14 to 4.3.16).
struct ZipDirectoryEnd {
    private static let recordBytes = 22
    private static let commentBytesMax = 65_535
    private static let locatorBytes = 20
    private static let longRecordBytes = 56

    var entryCount: UInt64
    var directoryBytes: UInt64
    var directoryStart: UInt64

    init(of archive: some ZipSource) throws(ZipError) {
        let tailBytes = min(archive.byteCount, Self.recordBytes + Self.commentBytesMax)
        let tailStart = archive.byteCount - tailBytes
        let tail = try ZipRecord(archive, at: UInt64(tailStart), count: tailBytes, "it is cut")
        guard let position = Self.position(tail) else { throw ZipError("it is no zip archive, or it is cut") }
        entryCount = UInt64(try tail.word16(position + 10))
        directoryBytes = UInt64(try tail.word32(position + 12))
        directoryStart = UInt64(try tail.word32(position + 16))
        let isLong = directoryStart == 0xFFFF_FFFF || directoryBytes == 0xFFFF_FFFF || entryCount == 0xFFFF
        if isLong { try readLong(archive, before: tailStart + position) }
    }

    /// The last place where the record may begin: its comment ends with the archive.
    private static func position(_ tail: ZipRecord) -> Int? {
        guard tail.count >= recordBytes else { return nil }
        return stride(from: tail.count - recordBytes, through: 0, by: -1).first { position in
            (try? tail.word32(position)) == 0x0605_4B50
                && (try? tail.word16(position + 20)).map { Int($0) + position + recordBytes } == tail.count
        }
    }

    private mutating func readLong(_ archive: some ZipSource, before end: Int) throws(ZipError) {
        guard end >= Self.locatorBytes else { throw ZipError("its directory is damaged") }
        let locator = try ZipRecord(
            archive, at: UInt64(end - Self.locatorBytes), count: Self.locatorBytes, "its directory is damaged"
        )
        guard try locator.word32(0) == 0x0706_4B50 else { throw ZipError("its directory is damaged") }
        let record = try ZipRecord(
            archive, at: try locator.word64(8), count: Self.longRecordBytes, "its directory is damaged")
        guard try record.word32(0) == 0x0606_4B50 else { throw ZipError("its directory is damaged") }
        entryCount = try record.word64(32)
        directoryBytes = try record.word64(40)
        directoryStart = try record.word64(48)
    }
}
