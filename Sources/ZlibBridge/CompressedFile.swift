internal import CZlib

/// Reads whole files, gzip or plain, with a bound on what comes out.
package enum CompressedFile {
    /// More than any month of candles; a file that unpacks to more is refused.
    package static let bytesMax = 512 * 1_024 * 1_024
    private static let chunkBytes = 256 * 1_024

    /// The unpacked bytes of the file at `path`; a file that is not gzip is read as it stands.
    ///
    /// - Throws: ``ZipError`` when there is no such file, it is cut or damaged, or it
    ///   unpacks to more than ``bytesMax``.
    package static func read(_ path: String) throws(ZipError) -> [UInt8] {
        guard let file = gzopen(path, "rb") else {
            throw ZipError("cannot be opened")
        }
        defer { gzclose(file) }
        gzbuffer(file, UInt32(chunkBytes))
        var bytes: [UInt8] = []
        while true {
            let room = chunkBytes
            let start = bytes.count
            bytes.append(contentsOf: repeatElement(0, count: room))
            let got = bytes.withUnsafeMutableBytes { buffer in
                gzread(file, buffer.baseAddress?.advanced(by: start), UInt32(room))
            }
            // Negative: damaged data. A file cut short ends without its trailer and says so here.
            var code: Int32 = 0
            let message = gzerror(file, &code).map { String(cString: $0) } ?? ""
            guard got >= 0, code >= 0 else {
                throw ZipError(message.isEmpty ? "is damaged" : message)
            }
            bytes.removeLast(room - Int(got))
            guard bytes.count <= bytesMax else {
                throw ZipError("unpacks to more than \(bytesMax) bytes")
            }
            if got == 0 { return bytes }
        }
    }
}
