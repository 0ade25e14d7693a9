import ZlibBridge

/// Cuts an unpacked file into pieces of whole lines.
struct ArchiveRows<Source: ZipSource> {
    private let stream: ZipStream<Source>
    /// Unpacked, not yet given.
    private var rest: [UInt8] = []
    private var isAtEnd = false
    /// A line is below 300 bytes; one without an end must not fill the memory.
    private static var lineBytesMax: Int { 4_096 }

    init(_ archive: Source) throws(ZipError) {
        stream = try ZipStream(archive)
    }

    /// At most `rowsMax` lines, each with its line feed; nil after the last.
    ///
    /// - Throws: ``ZipError``, also for a line that is longer than 4 KiB.
    mutating func next(_ rowsMax: Int) throws(ZipError) -> [UInt8]? {
        while true {
            let (lineCount, end) = lines(rowsMax)
            if lineCount == rowsMax || isAtEnd {
                guard end > 0 else { return nil }
                let piece = Array(rest[..<end])
                rest.removeFirst(end)
                return piece
            }
            guard rest.count - end <= Self.lineBytesMax else { throw ZipError("it holds no lines") }
            if let piece = try stream.next() {
                rest += piece
            } else {
                isAtEnd = true
                if let last = rest.last, last != UInt8(ascii: "\n") { rest.append(UInt8(ascii: "\n")) }
            }
        }
    }

    /// The number of whole lines that are there, up to `countMax`, and where the last of them ends.
    private func lines(_ countMax: Int) -> (count: Int, end: Int) {
        rest.withUnsafeBufferPointer { bytes in
            var (count, end) = (0, 0)
            for index in bytes.indices where bytes[index] == UInt8(ascii: "\n") {
                count += 1
                end = index + 1
                if count == countMax { break }
            }
            return (count, end)
        }
    }
}
