import Workflow

/// Encodes documents as rows `(_key text, document jsonb)` of PostgreSQL's binary COPY format.
///
/// The layout is that of the manual's page on COPY ("Binary Format"); a binary `jsonb` is a version byte, 1,
/// and the JSON text (`jsonb_recv`). Unlike the text format it needs no escaping, on either side.
enum BinaryCopy {
    /// Signature, flags (0) and length of the header extension (0).
    private static let header: [UInt8] =
        Array("PGCOPY\n".utf8) + [0xff] + Array("\r\n".utf8) + [0] + [UInt8](repeating: 0, count: 8)
    /// The field count -1 ends the rows.
    private static let trailer: [UInt8] = [0xff, 0xff]
    private static let jsonbVersion: UInt8 = 1
    /// Field count, two lengths, the version byte.
    private static let bytesPerRow = 2 + 4 + 4 + 1

    /// - Parameter indices: the documents of the batch to encode, in this order.
    static func encode(_ batch: DocumentBatch, _ indices: some Collection<Int>) -> [UInt8] {
        var byteCount = header.count + trailer.count + indices.count * bytesPerRow
        for index in indices { byteCount += batch.slices[index].end - batch.slices[index].keyStart }
        return [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, initializedCount in
            var target = UnsafeMutableRawBufferPointer(buffer)[...]
            append(header, to: &target)
            batch.bytes.withUnsafeBytes { source in
                for index in indices {
                    let slice = batch.slices[index]
                    append(UInt16(2), to: &target)
                    append(UInt32(slice.jsonStart - slice.keyStart), to: &target)
                    append(source[slice.keyStart..<slice.jsonStart], to: &target)
                    append(UInt32(slice.end - slice.jsonStart + 1), to: &target)
                    append(CollectionOfOne(jsonbVersion), to: &target)
                    append(source[slice.jsonStart..<slice.end], to: &target)
                }
            }
            append(trailer, to: &target)
            initializedCount = byteCount
        }
    }

    private static func append(
        _ bytes: some Collection<UInt8>, to target: inout Slice<UnsafeMutableRawBufferPointer>
    ) {
        UnsafeMutableRawBufferPointer(rebasing: target.prefix(bytes.count)).copyBytes(from: bytes)
        target = target.dropFirst(bytes.count)
    }

    /// Numbers are in network order.
    private static func append(
        _ number: some FixedWidthInteger, to target: inout Slice<UnsafeMutableRawBufferPointer>
    ) {
        withUnsafeBytes(of: number.bigEndian) { append($0, to: &target) }
    }
}
