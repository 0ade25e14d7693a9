/// What an archive may unpack to. Both are judged by what it says of itself, and it may not unpack to more than
/// that: so a small file cannot keep a reader busy for hours.
package struct ZipLimits: Sendable, Equatable {
    /// 64 GiB: several times the largest month of trades there is.
    package var unpackedBytesMax: UInt64 = 64 << 30
    /// Unpacked bytes for one packed; lines of numbers have 4 to 20. Deflate itself can reach 1,032.
    package var ratioMax: UInt64 = 200

    package init() {}

    func check(_ entry: ZipEntry) throws(ZipError) {
        guard entry.byteCount <= unpackedBytesMax else {
            throw ZipError("it unpacks to \(entry.byteCount) bytes, at most \(unpackedBytesMax) are taken")
        }
        // Packing never gains that much on a few bytes, so small files need no exception.
        guard entry.byteCount / ratioMax <= UInt64(entry.packed.count) else {
            throw ZipError(
                "\(entry.packed.count) bytes unpack to \(entry.byteCount), more than \(ratioMax) times as many"
            )
        }
    }
}
