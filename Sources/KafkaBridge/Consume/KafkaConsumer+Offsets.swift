internal import CRdkafka

/// Positions, commits, pauses.
extension KafkaConsumer {
    /// Commits positions (the offset of the next record to read) to the group and waits for the broker's
    /// answer.
    ///
    /// - Throws: `rebalanced`/`fenced` when the partitions belong to others now; `timedOut`.
    package func commit(_ positions: [TopicPartition: Int64]) async throws(KafkaError) {
        let operation = "commit to \(try groupName(for: "commit"))"
        let handle = try openHandle(for: operation)
        guard !positions.isEmpty else { return }
        let completion = CommitCompletion()
        let context = CallbackContext.retain(completion)
        let list = PartitionList(positions)
        let result = list.withPointer { offsets in
            rd_kafka_commit_queue(
                handle.core.client, offsets, handle.core.completions,
                { _, code, offsets, context in
                    guard let context else { return }
                    let entries = offsets.map { PartitionList.entries(of: UnsafePointer($0)) } ?? []
                    let failed = entries.first { $0.error != RD_KAFKA_RESP_ERR_NO_ERROR }?.error
                    let outcome = code == RD_KAFKA_RESP_ERR_NO_ERROR ? failed ?? code : code
                    CallbackContext.take(context, as: CommitCompletion.self).result.resolve(outcome)
                }, context)
        }
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
            // Refused at once: nobody calls back.
            CallbackContext.release(context, as: CommitCompletion.self)
            throw handle.core.error(result, operation: operation)
        }
        let outcome = await completion.result.value
        guard outcome == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw handle.core.error(outcome, operation: operation)
        }
    }

    /// The positions the group committed; nil where it never did.
    package func committed(
        _ partitions: [TopicPartition], timeout: Duration = .seconds(10)
    ) throws(KafkaError) -> [TopicPartition: Int64?] {
        let operation = "read the positions of \(try groupName(for: "read committed positions"))"
        let core = try openHandle(for: operation).core
        let list = PartitionList(partitions)
        let result = list.withPointer { rd_kafka_committed(core.client, $0, timeout.milliseconds) }
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else { throw core.error(result, operation: operation) }
        return try list.positions(operation)
    }

    /// The offset after the last record given by a poll; nil before the first one.
    package func position(_ partitions: [TopicPartition]) throws(KafkaError) -> [TopicPartition: Int64?] {
        let core = try openHandle(for: "read positions").core
        let list = PartitionList(partitions)
        let result = list.withPointer { rd_kafka_position(core.client, $0) }
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw core.error(result, operation: "read positions")
        }
        return try list.positions("read positions")
    }

    /// Where a partition begins and ends for this consumer: with `readCommitted` the end is before any open
    /// transaction. Reading up to an end known beforehand is quicker than waiting for
    /// ``ConsumerEvent/endReached``. A topic is read when it was made: until `timeout` it is no error that a broker
    /// does not know it yet.
    package func watermarks(
        of partition: TopicPartition, timeout: Duration = .seconds(10)
    ) throws(KafkaError) -> Watermarks {
        try openHandle(for: "read the offsets of \(partition)").core.watermarks(
            of: partition, isMade: true, timeout: timeout)
    }

    /// The oldest offset that is still there, asked of each leader in one request; otherwise as ``watermarks(of:timeout:)``.
    package func beginnings(
        of partitions: [TopicPartition], timeout: Duration = .seconds(10)
    ) throws(KafkaError) -> [TopicPartition: Int64] {
        guard !partitions.isEmpty else { return [:] }
        let operation = "read the beginnings of \(partitions.count) partitions"
        return try openHandle(for: operation).core.offsets(
            of: partitions, at: .beginning, isMade: true, operation: operation, until: .now + timeout)
    }

    /// Stops giving records of these partitions; their group membership stays as long as polls go on.
    package func pause(_ partitions: [TopicPartition]) throws(KafkaError) {
        try openHandle(for: "pause").core.pause(partitions)
        pausedByCaller.formUnion(partitions)
    }

    /// Goes on where the last poll's records of these partitions ended.
    package func resume(_ partitions: [TopicPartition]) throws(KafkaError) {
        let core = try openHandle(for: "resume").core
        let paused = pausedByCaller.intersection(partitions)
        var positions: [TopicPartition: Int64?] = Dictionary(uniqueKeysWithValues: paused.map { ($0, nil) })
        positions.merge(try position(Array(paused))) { $1 }
        pausedByCaller.subtract(partitions)
        try core.resume(positions)
    }
}

private final class CommitCompletion: Sendable {
    let result = OneShot<rd_kafka_resp_err_t>()
}

extension PartitionList {
    /// The offsets librdkafka filled in; logical ones (no offset) are nil. Throws the first partition's
    /// error.
    borrowing func positions(_ operation: String) throws(KafkaError) -> [TopicPartition: Int64?] {
        try withPointer { list throws(KafkaError) in try Self.positions(of: UnsafePointer(list), operation) }
    }

    static func positions(
        of list: UnsafePointer<rd_kafka_topic_partition_list_t>, _ operation: String
    ) throws(KafkaError) -> [TopicPartition: Int64?] {
        var positions: [TopicPartition: Int64?] = [:]
        for entry in entries(of: list) {
            guard entry.error == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw KafkaError(entry.error, operation: "\(operation), \(entry.partition)")
            }
            positions[entry.partition] = .some(entry.offset < 0 ? nil : entry.offset)
        }
        return positions
    }
}
