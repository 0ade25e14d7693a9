/// The one file in a zip archive, as its directory tells (PKWARE APPNOTE 6.3, sections 4.3 and 4.5).
///
/// Archives of several files, of several disks, encrypted ones and other methods than deflate are refused.
package struct ZipEntry: Sendable, Equatable {
    package var name: String
    /// Unpacked.
    package var byteCount: UInt64
    var isDeflated: Bool
    var checksum: UInt32
    /// Where the packed bytes lie.
    var packed: Range<Int>

    private static let fileSignature: UInt32 = 0x0403_4B50
    private static let fileHeadBytes = 30

    /// - Throws: ``ZipError``.
    package init(onlyEntryOf archive: some ZipSource) throws(ZipError) {
        let end = try ZipDirectoryEnd(of: archive)
        guard end.entryCount == 1 else { throw ZipError("it does not hold exactly one file") }
        guard end.directoryBytes <= ZipRecord.bytesMax else { throw ZipError("its directory is too long") }
        let record = try ZipRecord(
            archive, at: end.directoryStart, count: Int(end.directoryBytes), "its directory is damaged")
        self = try Self.parse(record)
        let head = try ZipRecord(
            archive, at: UInt64(packed.lowerBound), count: Self.fileHeadBytes, "its file's head is damaged")
        guard try head.word32(0) == Self.fileSignature else { throw ZipError("its file's head is damaged") }
        let skipped = Self.fileHeadBytes + Int(try head.word16(26)) + Int(try head.word16(28))
        packed = (packed.lowerBound + skipped)..<(packed.upperBound + skipped)
        guard packed.upperBound <= end.directoryStart else { throw ZipError("its sizes do not fit") }
        try ZipLimits().check(self)
    }

    private init(name: String, byteCount: UInt64, isDeflated: Bool, checksum: UInt32, packed: Range<Int>) {
        self.name = name
        self.byteCount = byteCount
        self.isDeflated = isDeflated
        self.checksum = checksum
        self.packed = packed
    }

    /// The directory's entry; `packed` begins with the file's head, whose length is not known yet.
    private static func parse(_ record: ZipRecord) throws(ZipError) -> ZipEntry {
        guard try record.word32(0) == 0x0201_4B50 else { throw ZipError("its directory is damaged") }
        guard try record.word16(8) & 1 == 0 else { throw ZipError("it is encrypted") }
        let method = try record.word16(10)
        guard method == 0 || method == 8 else { throw ZipError("its method \(method) is not deflate") }
        let nameBytes = Int(try record.word16(28))
        var long = try ZipLongValues(record, from: 46 + nameBytes, count: Int(try record.word16(30)))
        // In this order: that is how the long values follow each other.
        let byteCount = try long.value(for: try record.word32(24))
        let packedCount = try long.value(for: try record.word32(20))
        let head = try long.value(for: try record.word32(42))
        guard head <= UInt64(Int32.max) << 16, packedCount <= UInt64(Int32.max) << 16 else {
            throw ZipError("its sizes do not fit")
        }
        return ZipEntry(
            name: String(decoding: try record.part(46, nameBytes), as: UTF8.self), byteCount: byteCount,
            isDeflated: method == 8, checksum: try record.word32(16),
            packed: Int(head)..<Int(head + packedCount))
    }
}

/// The extra field of an entry that is too large for 32 bits (APPNOTE 4.5.3): the values that overflowed, in order.
private struct ZipLongValues {
    private static let overflow: UInt32 = 0xFFFF_FFFF
    private static let kind: UInt16 = 1

    private var values: [UInt64] = []

    init(_ record: ZipRecord, from start: Int, count: Int) throws(ZipError) {
        var position = start
        while position + 4 <= start + count {
            let length = Int(try record.word16(position + 2))
            if try record.word16(position) == Self.kind {
                for index in 0..<(length / 8) { values.append(try record.word64(position + 4 + 8 * index)) }
            }
            position += 4 + length
        }
    }

    mutating func value(for short: UInt32) throws(ZipError) -> UInt64 {
        guard short == Self.overflow else { return UInt64(short) }
        guard !values.isEmpty else { throw ZipError("a size is missing") }
        return values.removeFirst()
    }
}
