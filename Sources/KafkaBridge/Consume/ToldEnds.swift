/// The ends of partitions that a caller was told: each is told once, and again after later records.
struct ToldEnds {
    private var ends: [TopicPartition: Int64] = [:]

    /// Partitions that were given up are forgotten: an end of one that comes back is told.
    mutating func assignmentChanged(from old: Set<TopicPartition>, to new: Set<TopicPartition>) {
        ends = ends.filter { old.contains($0.key) && new.contains($0.key) }
    }

    mutating func recordsCame(from partition: TopicPartition) { ends[partition] = nil }

    /// - Returns: whether this end is new to the caller.
    mutating func endCame(_ partition: TopicPartition, offset: Int64) -> Bool {
        ends.updateValue(offset, forKey: partition) != offset
    }
}
