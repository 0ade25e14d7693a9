internal import CZlib

/// Unpacks the one file of a zip archive piece by piece, and checks its length and CRC-32 at the end.
///
/// Memory: 256 KiB of packed bytes and one piece, however large the archive is.
package final class ZipStream<Source: ZipSource> {
    private static var pieceBytes: Int { 256 << 10 }

    package let entry: ZipEntry
    private let source: Source
    /// On the heap: zlib's state points back at it.
    private let inflation: UnsafeMutablePointer<z_stream>
    /// Packed bytes that were read and not unpacked yet begin at `inputStart`.
    private var input: [UInt8] = []
    private var inputStart = 0
    /// Packed bytes that were read.
    private var readCount = 0
    private var unpackedCount: UInt64 = 0
    private var checksum: UInt = 0
    private var isEnded = false

    /// - Throws: ``ZipError`` for anything but a whole archive with one file in it, within ``ZipLimits``.
    package init(_ source: Source) throws(ZipError) {
        entry = try ZipEntry(onlyEntryOf: source)
        self.source = source
        inflation = .allocate(capacity: 1)
        inflation.initialize(to: z_stream())
        // Negative: no zlib head, as in zip archives.
        let code = inflateInit2_(inflation, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard code == Z_OK else { preconditionFailure("zlib cannot begin: \(code)") }
    }

    deinit {
        inflateEnd(inflation)
        inflation.deinitialize(count: 1)
        inflation.deallocate()
    }

    /// The next piece, at most 256 KiB and never empty; nil after the last.
    ///
    /// - Throws: ``ZipError`` for damaged bytes, also after pieces that were given already.
    package func next() throws(ZipError) -> [UInt8]? {
        while !isEnded {
            try readInput()
            let piece = entry.isDeflated ? try inflated() : stored()
            unpackedCount += UInt64(piece.count)
            guard unpackedCount <= entry.byteCount else { throw ZipError("it unpacks to more than it says") }
            checksum = piece.withUnsafeBufferPointer {
                UInt(crc32(uLong(checksum), $0.baseAddress, uInt($0.count)))
            }
            if isEnded { try checkEnd() }
            if !piece.isEmpty { return piece }
        }
        return nil
    }

    private func checkEnd() throws(ZipError) {
        guard unpackedCount == entry.byteCount, checksum == UInt(entry.checksum) else {
            throw ZipError("its checksum does not fit")
        }
        guard readCount == entry.packed.count, inputStart == input.count else {
            throw ZipError("its packed bytes go on behind their end")
        }
    }

    private func readInput() throws(ZipError) {
        guard inputStart == input.count else { return }
        let rest = entry.packed.dropFirst(readCount).prefix(Self.pieceBytes)
        input = rest.isEmpty ? [] : try source.bytes(rest)
        inputStart = 0
        readCount += rest.count
    }

    private func stored() -> [UInt8] {
        inputStart = input.count
        isEnded = readCount == entry.packed.count
        return input
    }

    private func inflated() throws(ZipError) -> [UInt8] {
        var code = Z_OK
        let piece = input.withUnsafeBufferPointer { bytes in
            [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { room, count in
                // zlib's interface is older than const: it does not write there.
                inflation.pointee.next_in = UnsafeMutablePointer(
                    mutating: bytes.baseAddress?.advanced(by: inputStart))
                inflation.pointee.avail_in = uInt(bytes.count - inputStart)
                inflation.pointee.next_out = room.baseAddress
                inflation.pointee.avail_out = uInt(room.count)
                code = CZlib.inflate(inflation, Z_NO_FLUSH)
                inputStart = bytes.count - Int(inflation.pointee.avail_in)
                count = room.count - Int(inflation.pointee.avail_out)
            }
        }
        switch code {
        case Z_STREAM_END: isEnded = true
        // No progress is fine only while there is more to read.
        case Z_OK where !piece.isEmpty || readCount < entry.packed.count || inputStart < input.count: break
        default: throw ZipError("its packed bytes are damaged or cut")
        }
        return piece
    }
}
