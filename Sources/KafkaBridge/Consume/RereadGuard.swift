/// Finds records that a broker made the client throw away, and drops what is then read twice.
///
/// With an answer a broker lists the aborted transactions that reach into it; Kafka leaves out those that
/// ended before the asked offset. noida-db 0.2.3 lists them all, so that librdkafka takes every later record
/// of the same producer for aborted, in each fetch that does not hold the abort marker itself. It shows: the
/// end moves on by more than one transaction marker, and no record came. Then the partition is read again
/// from its beginning, where the marker is part of the answer, and records given before are dropped.
///
/// On Kafka this is off: there such an end is what it says.
struct RereadGuard {
    let isOn: Bool
    /// The offset after the last record given to the caller, or where reading began.
    private var next: [TopicPartition: Int64] = [:]
    /// Ends that reading from the beginning has confirmed.
    private var confirmed: [TopicPartition: Int64] = [:]

    init(isOn: Bool) { self.isOn = isOn }

    /// - Parameter offsets: where reading begins; negative ones (the group's position) are not known yet.
    mutating func assigned(_ offsets: [TopicPartition: Int64]) {
        next = offsets.filter { $0.value >= 0 }
        confirmed = [:]
    }

    /// Partitions that the group gave or took: what comes of them is new, wherever it begins.
    mutating func forget(_ partitions: some Collection<TopicPartition>) {
        for partition in partitions {
            next[partition] = nil
            confirmed[partition] = nil
        }
    }

    /// Where partitions that the group gave are read from; negative offsets (the group's position) are not known.
    mutating func began(_ offsets: [TopicPartition: Int64]) {
        next.merge(offsets.filter { $0.value >= 0 }) { $1 }
    }

    /// - Returns: false for a record that the caller has had or did not ask for.
    mutating func isNew(_ partition: TopicPartition, offset: Int64) -> Bool {
        guard isOn else { return true }
        if let expected = next[partition], offset < expected { return false }
        next[partition] = offset + 1
        return true
    }

    /// A broker that lost its last records gives their offsets to others.
    ///
    /// - Parameter end: told after everything that was read of the partition so far; one told before some of
    ///   it would let that through twice.
    mutating func wentBack(_ partition: TopicPartition, end: Int64) {
        if let expected = next[partition], end < expected { next[partition] = end }
    }

    /// - Returns: whether to read the partition again from its beginning before this end is believed.
    mutating func mustReread(_ partition: TopicPartition, end: Int64) -> Bool {
        guard isOn, let expected = next[partition], confirmed[partition] != end else { return false }
        // One offset is the marker of a commit; an abort takes at least a record and a marker.
        guard end - expected >= 2 else { return false }
        confirmed[partition] = end
        return true
    }
}
