/// The bytes of an archive, wherever they lie.
package protocol ZipSource {
    var byteCount: Int { get }

    /// - Parameter range: lies within the archive.
    /// - Throws: ``ZipError`` when the bytes cannot be read.
    func bytes(_ range: Range<Int>) throws(ZipError) -> [UInt8]
}

/// An archive in memory.
extension [UInt8]: ZipSource {
    package var byteCount: Int { count }

    package func bytes(_ range: Range<Int>) -> [UInt8] { Array(self[range]) }
}
