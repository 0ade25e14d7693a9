internal import CRdkafka
import Glibc

/// The memory of a batch: all bytes in one allocation, one small entry a record.
///
/// `@unchecked Sendable`: changed only by the one ``RecordBatch`` that is its unique holder; while librdkafka
/// reads it, the sender holds it too, so that the batch copies before it changes anything.
final class RecordArena: @unchecked Sendable {
    private(set) var base: UnsafeMutableRawPointer
    private(set) var used = 0
    private(set) var records: [crdk_record] = []
    private(set) var capacity: Int
    private var current = crdk_record()

    init(capacity: Int = 0, records: Int = 0) {
        self.capacity = max(capacity, 256)
        base = Self.reallocated(nil, self.capacity)
        self.records.reserveCapacity(records)
    }

    convenience init(copying other: RecordArena) {
        self.init(capacity: other.capacity, records: other.records.count)
        base.copyMemory(from: other.base, byteCount: other.used)
        used = other.used
        records = other.records
    }

    deinit { free(base) }

    func removeAll() {
        used = 0
        records.removeAll(keepingCapacity: true)
    }

    func begin(timestampMilliseconds: Int64?) {
        current = crdk_record(
            offset: used, key_length: -1, value_length: -1, header_count: 0,
            timestamp_ms: timestampMilliseconds ?? 0)
    }

    func setKey(_ key: some Sequence<UInt8>) { current.key_length = Int32(append(key)) }

    func setValue(_ value: some Sequence<UInt8>) { current.value_length = Int32(append(value)) }

    func setValue(
        bytesMax: Int, _ write: (UnsafeMutableRawBufferPointer) throws -> Int
    ) rethrows {
        reserve(bytesMax)
        let written = try write(UnsafeMutableRawBufferPointer(start: base + used, count: bytesMax))
        precondition((0...bytesMax).contains(written), "wrote \(written) bytes where \(bytesMax) were free")
        used += written
        current.value_length = Int32(written)
    }

    func addHeader(_ header: RecordBatch.Header) {
        let lengths = used
        reserve(8)
        used += 8
        let nameLength = Int32(append(header.name.utf8))
        var valueLength: Int32 = -1
        if let value = header.value { valueLength = Int32(append(value)) }
        (base + lengths).storeBytes(of: nameLength, as: Int32.self)
        (base + lengths + 4).storeBytes(of: valueLength, as: Int32.self)
        current.header_count += 1
    }

    func end() { records.append(current) }

    /// Takes back the record that was begun.
    func withdraw() { used = current.offset }

    private func append(_ bytes: some Sequence<UInt8>) -> Int {
        let start = used
        let copied: Void? = bytes.withContiguousStorageIfAvailable { source in
            reserve(source.count)
            if let from = source.baseAddress { (base + used).copyMemory(from: from, byteCount: source.count) }
            used += source.count
        }
        guard copied == nil else { return used - start }
        for byte in bytes {
            reserve(1)
            base.storeBytes(of: byte, toByteOffset: used, as: UInt8.self)
            used += 1
        }
        return used - start
    }

    private func reserve(_ count: Int) {
        guard used + count > capacity else { return }
        capacity = max(capacity * 2, used + count)
        base = Self.reallocated(base, capacity)
    }

    /// C's allocator, because it grows a large block by moving its pages instead of copying them.
    private static func reallocated(_ block: UnsafeMutableRawPointer?, _ count: Int)
        -> UnsafeMutableRawPointer
    {
        guard let block = realloc(block, count) else { preconditionFailure("out of memory") }
        return block
    }
}
