import KafkaBridge
import Workflow

/// Offers that were read and are not taken yet, in the order of each partition. Others may still get them.
struct OfferBuffer {
    struct Read: Sendable, Equatable {
        var partition: TopicPartition
        var offset: Int64
        /// The offer's JSON.
        var value: [UInt8]
    }

    /// Reading goes on while there are fewer; a poll may bring at most ``room`` more.
    let limit: Int
    private var offers: [Read] = []

    init(limit: Int) { self.limit = limit }

    var isEmpty: Bool { offers.isEmpty }
    var count: Int { offers.count }
    var room: Int { max(0, limit - offers.count) }
    /// Few enough to read on after a pause.
    var isLow: Bool { offers.count * 2 <= limit }

    mutating func add(_ offer: Read) { offers.append(offer) }

    /// Takes out the oldest.
    mutating func take(_ count: Int) -> [Read] {
        let taken = Array(offers.prefix(count))
        offers.removeFirst(taken.count)
        return taken
    }

    /// Forgets what belongs to others now.
    mutating func drop(_ partitions: [TopicPartition]) {
        let gone = Set(partitions)
        offers.removeAll { gone.contains($0.partition) }
    }

    /// What to commit to have taken these: the offset after the last one of each partition.
    static func positions(after offers: [Read]) -> [TopicPartition: Int64] {
        Dictionary(offers.map { ($0.partition, $0.offset + 1) }, uniquingKeysWith: max)
    }
}
