internal import CRdkafka

/// Records that are sent and acknowledged together, built in one piece of memory that librdkafka reads in
/// place.
///
/// A value: a batch that is still being sent can be appended to (the memory is copied then) and sent again,
/// e.g. after an aborted transaction. Bounded by ``Limits``: ``isFull`` tells when to send.
package struct RecordBatch: Sendable {
    package struct Limits: Sendable {
        package var recordsMax: Int
        /// Keys, values and headers together. One record may go beyond it, so that every record fits a batch.
        package var bytesMax: Int

        package init(recordsMax: Int = 10_000, bytesMax: Int = 4 << 20) {
            self.recordsMax = recordsMax
            self.bytesMax = bytesMax
        }
    }

    package typealias Header = (name: String, value: [UInt8]?)

    package let limits: Limits
    private(set) var arena: RecordArena
    /// Memory of earlier contents, most of it still being sent.
    private var sent: [RecordArena] = []
    private static let sentBytesMax = 32 << 20

    package init(limits: Limits = Limits()) {
        self.limits = limits
        arena = RecordArena()
    }

    package var count: Int { arena.records.count }
    package var bytes: Int { arena.used }
    package var isEmpty: Bool { arena.records.isEmpty }
    package var isFull: Bool { count >= limits.recordsMax || bytes >= limits.bytesMax }

    /// Adds one record.
    ///
    /// - Parameters:
    ///   - key: nil is Kafka's null key.
    ///   - value: nil is Kafka's null value (a tombstone in compacted topics).
    ///   - timestampMilliseconds: since 1970; nil is the time of sending.
    package mutating func append(
        key: (some Sequence<UInt8>)?, value: (some Sequence<UInt8>)?, headers: [Header] = [],
        timestampMilliseconds: Int64? = nil
    ) {
        prepareForChange()
        arena.begin(timestampMilliseconds: timestampMilliseconds)
        if let key { arena.setKey(key) }
        if let value { arena.setValue(value) }
        for header in headers { arena.addHeader(header) }
        arena.end()
    }

    /// Adds one record whose value is written in place.
    ///
    /// Not generic on purpose: modules are not specialized into each other, and this runs once a record.
    ///
    /// - Parameters:
    ///   - valueBytesMax: room given to `write`.
    ///   - write: fills the buffer from its beginning and returns how many bytes it wrote.
    package mutating func append(
        key: [UInt8]?, headers: [Header] = [], timestampMilliseconds: Int64? = nil,
        valueBytesMax: Int, write: (UnsafeMutableRawBufferPointer) throws -> Int
    ) rethrows {
        prepareForChange()
        arena.begin(timestampMilliseconds: timestampMilliseconds)
        if let key { arena.setKey(key) }
        do {
            try arena.setValue(bytesMax: valueBytesMax, write)
        } catch {
            arena.withdraw()
            throw error
        }
        for header in headers { arena.addHeader(header) }
        arena.end()
    }

    /// Empties the batch. Its memory is used again, at once or when what it holds was sent: one batch that is
    /// emptied after each send is quicker than a new batch each time.
    package mutating func removeAll() {
        if isKnownUniquelyReferenced(&arena) {
            arena.removeAll()
        } else {
            arena = nextArena()
        }
    }

    /// An arena of an earlier content that was sent meanwhile, else a new one of the present size.
    private mutating func nextArena() -> RecordArena {
        let kept = sent.reduce(arena.capacity) { $0 + $1.capacity }
        if kept <= Self.sentBytesMax { sent.append(arena) }
        for index in sent.indices where isKnownUniquelyReferenced(&sent[index]) {
            let free = sent.remove(at: index)
            free.removeAll()
            return free
        }
        return RecordArena(capacity: min(arena.used, limits.bytesMax), records: arena.records.count)
    }

    private mutating func prepareForChange() {
        if !isKnownUniquelyReferenced(&arena) { arena = RecordArena(copying: arena) }
    }
}
