/// Cuts a stream of bytes into lines, however it is cut into chunks.
package struct LineSplitter: Sendable {
    package let lineBytesMax: Int
    private var rest: [UInt8] = []

    package init(lineBytesMax: Int) {
        self.lineBytesMax = lineBytesMax
    }

    /// The lines that are complete now, without their line ends; empty ones are left out.
    ///
    /// - Returns: nil when a line is longer than allowed: the stream is of no use any more.
    package mutating func append(_ chunk: [UInt8]) -> [[UInt8]]? {
        var lines: [[UInt8]] = []
        var start = chunk.startIndex
        while let end = chunk[start...].firstIndex(of: UInt8(ascii: "\n")) {
            guard rest.count + (end - start) <= lineBytesMax else { return nil }
            let line = rest.isEmpty ? Array(chunk[start..<end]) : rest + chunk[start..<end]
            rest = []
            if !line.isEmpty { lines.append(line) }
            start = end + 1
        }
        guard rest.count + (chunk.endIndex - start) <= lineBytesMax else { return nil }
        rest += chunk[start...]
        return lines
    }
}
