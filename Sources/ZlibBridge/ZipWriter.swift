internal import CZlib

/// Makes zip archives of one file.
package enum ZipWriter {
    /// - Parameter content: below 4 GiB.
    package static func archive(_ name: String, _ content: [UInt8]) -> [UInt8] {
        let packed = deflate(content)
        let name = Array(name.utf8)
        let checksum = content.withUnsafeBufferPointer { UInt32(crc32(0, $0.baseAddress, uInt($0.count))) }
        // Version 2.0, no flags, deflate, 1980-01-01 00:00.
        var common: [UInt8] = []
        for word in [20, 0, 8, 0, 0x21] as [UInt16] { common.append(word, bytes: 2) }
        common.append(checksum, bytes: 4)
        common.append(UInt32(packed.count), bytes: 4)
        common.append(UInt32(content.count), bytes: 4)
        common.append(UInt16(name.count), bytes: 2)
        common.append(UInt16(0), bytes: 2)
        var archive: [UInt8] = []
        archive.append(UInt32(0x0403_4B50), bytes: 4)
        archive += common + name + packed
        let directory = archive.count
        archive.append(UInt32(0x0201_4B50), bytes: 4)
        archive.append(UInt16(20), bytes: 2)
        archive += common
        // No comment, disk 0, no attributes, head at 0.
        archive += [UInt8](repeating: 0, count: 14) + name
        let length = archive.count - directory
        archive.append(UInt32(0x0605_4B50), bytes: 4)
        for word in [0, 0, 1, 1] as [UInt16] { archive.append(word, bytes: 2) }
        archive.append(UInt32(length), bytes: 4)
        archive.append(UInt32(directory), bytes: 4)
        archive.append(UInt16(0), bytes: 2)
        return archive
    }

    private static func deflate(_ content: [UInt8]) -> [UInt8] {
        var stream = z_stream()
        return withUnsafeMutablePointer(to: &stream) { stream in
            let begun = deflateInit2_(
                stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
                Int32(MemoryLayout<z_stream>.size))
            guard begun == Z_OK else { preconditionFailure("zlib cannot begin: \(begun)") }
            defer { deflateEnd(stream) }
            let roomCount = Int(deflateBound(stream, uLong(content.count)))
            return content.withUnsafeBufferPointer { content in
                [UInt8](unsafeUninitializedCapacity: roomCount) { room, count in
                    stream.pointee.next_in = UnsafeMutablePointer(mutating: content.baseAddress)
                    stream.pointee.avail_in = uInt(content.count)
                    stream.pointee.next_out = room.baseAddress
                    stream.pointee.avail_out = uInt(room.count)
                    // The room is enough for all of it at once.
                    guard CZlib.deflate(stream, Z_FINISH) == Z_STREAM_END else {
                        preconditionFailure("deflate needs more room than its bound")
                    }
                    count = room.count - Int(stream.pointee.avail_out)
                }
            }
        }
    }
}

extension [UInt8] {
    /// The low `bytes` bytes, lowest first.
    fileprivate mutating func append(_ value: some FixedWidthInteger, bytes: Int) {
        for index in 0..<bytes { append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }
}
