import KafkaBridge

/// What was read of the partitions and is not stored yet: how far their positions may be committed, and how much
/// memory it takes. Pure.
///
/// A stream's records are stored in their order, in batches: what is *gathered* becomes *under way*, then settled.
struct StreamLedger: Sendable {
    /// Names a stream within a partition.
    struct Key: Sendable, Hashable {
        var partition: TopicPartition
        /// See ``StreamTag/identity(of:)``.
        var identity: [UInt8]
    }

    private struct Amount: Sendable {
        var first: Int64
        var records: Int
        var bytes: Int
    }

    private struct Pending: Sendable {
        var gathered: Amount?
        var underWay: Amount?

        var first: Int64? { underWay?.first ?? gathered?.first }
    }

    private var streams: [TopicPartition: [Key: Pending]] = [:]
    /// The offset after the last one that was read, by partition.
    private var positions: [TopicPartition: Int64] = [:]
    private(set) var bytes = 0

    /// Partitions of which something was read.
    var partitions: Set<TopicPartition> { Set(positions.keys) }

    /// Streams of which something is not settled.
    var openCount: Int { streams.values.reduce(0) { $0 + $1.count } }

    /// Everything before `offset` was given to us.
    mutating func read(_ partition: TopicPartition, upTo offset: Int64) {
        positions[partition] = max(positions[partition] ?? 0, offset)
    }

    /// A record was read and has to be stored.
    mutating func gather(_ key: Key, offset: Int64, bytes size: Int) {
        bytes += size
        var amount =
            streams[key.partition]?[key]?.gathered ?? Amount(first: offset, records: 0, bytes: 0)
        amount.records += 1
        amount.bytes += size
        streams[key.partition, default: [:]][key, default: Pending()].gathered = amount
    }

    /// A batch was taken from what is gathered.
    ///
    /// - Parameters:
    ///   - rest: the first record that is left gathered; nil: all was taken.
    ///   - restRecords: how many are left.
    ///   - restBytes: how many bytes they have.
    mutating func take(_ key: Key, rest: Int64? = nil, restRecords: Int = 0, restBytes: Int = 0) {
        guard var pending = streams[key.partition]?[key], let gathered = pending.gathered else { return }
        let left = rest.map { Amount(first: $0, records: restRecords, bytes: restBytes) }
        pending.underWay = Amount(
            first: gathered.first, records: gathered.records - restRecords, bytes: gathered.bytes - restBytes)
        pending.gathered = left
        streams[key.partition]?[key] = pending
    }

    /// What was under way is stored, or need not be.
    mutating func settle(_ key: Key) {
        guard var pending = streams[key.partition]?[key] else { return }
        bytes -= pending.underWay?.bytes ?? 0
        pending.underWay = nil
        streams[key.partition]?[key] = pending.first == nil ? nil : pending
    }

    /// Nothing of the stream is to be stored any more.
    mutating func drop(_ key: Key) {
        guard let pending = streams[key.partition]?.removeValue(forKey: key) else { return }
        bytes -= (pending.underWay?.bytes ?? 0) + (pending.gathered?.bytes ?? 0)
    }

    /// The partition belongs to somebody else.
    mutating func forget(_ partition: TopicPartition) {
        for key in (streams[partition] ?? [:]).keys { drop(key) }
        streams[partition] = nil
        positions[partition] = nil
    }

    /// Everything before it is stored; nil where nothing was read.
    func committable(_ partition: TopicPartition) -> Int64? {
        guard let position = positions[partition] else { return nil }
        return (streams[partition] ?? [:]).values.compactMap(\.first).reduce(position, min)
    }

    /// Whether something of the stream waits to be taken.
    func isGathered(_ key: Key) -> Bool { streams[key.partition]?[key]?.gathered != nil }

    /// Whether something of the partition is not stored.
    func isOpen(_ partition: TopicPartition) -> Bool { !(streams[partition] ?? [:]).isEmpty }
}
