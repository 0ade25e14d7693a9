internal import CRdkafka

/// Where a partition begins and ends.
package struct Watermarks: Sendable, Equatable {
    /// The oldest offset that is still there.
    package var low: Int64
    /// The offset after the last record; with `readCommitted` the first one of an open transaction, if any.
    package var high: Int64

    package init(low: Int64, high: Int64) {
        self.low = low
        self.high = high
    }
}

extension KafkaAdmin {
    /// Asks the partition's leader where it begins and ends.
    ///
    /// - Parameters:
    ///   - isolation: `readCommitted` gives the last stable offset as `high`.
    ///   - isMade: the topic was made, perhaps a moment ago: until `timeout` it is no error that a broker does not
    ///     know it.
    package func watermarks(
        of partition: TopicPartition, isolation: KafkaIsolation = .readUncommitted, isMade: Bool = false,
        timeout: Duration = .seconds(10)
    ) throws(KafkaError) -> Watermarks {
        let core = try core(for: "read the offsets of \(partition)", isolation: isolation)
        return try core.watermarks(of: partition, isMade: isMade, timeout: timeout)
    }

    /// The first offset whose timestamp is not before a time in milliseconds since 1970; nil where there is
    /// none.
    package func offsets(
        forTimes times: [TopicPartition: Int64], timeout: Duration = .seconds(10)
    ) throws(KafkaError) -> [TopicPartition: Int64?] {
        guard !times.isEmpty else { return [:] }
        let operation = "look up offsets by time"
        return try core(for: operation).offsets(
            forTimes: times, operation: operation, until: .now + timeout)
    }

    /// The offset after the last record of each partition, asked of each leader in one request.
    package func endOffsets(
        of partitions: some Collection<TopicPartition>, timeout: Duration = .seconds(10)
    ) throws(KafkaError) -> [TopicPartition: Int64] {
        guard !partitions.isEmpty else { return [:] }
        let operation = "read the ends of \(partitions.count) partitions"
        let core = try core(for: operation)
        return try core.offsets(of: partitions, at: .end, operation: operation, until: .now + timeout)
    }

    /// What a group committed; nil where it never did.
    package func committedOffsets(
        of group: String, _ partitions: [TopicPartition], timeout: Duration = .seconds(10)
    ) throws(KafkaError) -> [TopicPartition: Int64?] {
        let operation = "read the positions of the group \(group)"
        let core = try core(for: operation)
        let list = PartitionList(partitions)
        var query: OpaquePointer? = list.withPointer { rd_kafka_ListConsumerGroupOffsets_new(group, $0) }
        defer { rd_kafka_ListConsumerGroupOffsets_destroy(query) }
        let request = AdminRequest(
            RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, core, operation: operation, timeout: timeout)
        rd_kafka_ListConsumerGroupOffsets(core.client, &query, 1, request.options, request.queue)
        return try request.answer { event throws(KafkaError) in
            var count = 0
            let groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
                rd_kafka_event_ListConsumerGroupOffsets_result(event), &count)
            guard count > 0, let result = groups?[0] else {
                throw KafkaError(.other, operation: operation, detail: "the answer names no group")
            }
            if let error = rd_kafka_group_result_error(result) {
                throw KafkaError(
                    rd_kafka_error_code(error), operation: operation,
                    detail: String(cString: rd_kafka_error_string(error)))
            }
            guard let found = rd_kafka_group_result_partitions(result) else { return [:] }
            return try PartitionList.positions(of: found, operation)
        }
    }

    /// Records between what a group committed (or the beginning) and the end, over all partitions of a topic.
    ///
    /// Counts offsets: transaction markers are among them.
    package func lag(
        of group: String, topic: String, timeout: Duration = .seconds(10)
    ) throws(KafkaError) -> [TopicPartition: Int64] {
        guard let count = try partitionCounts(of: [topic], timeout: timeout)[topic] else {
            throw KafkaError(.unknownTopic, operation: "read the lag of \(topic)", detail: "no such topic")
        }
        let partitions = (0..<Int32(count)).map { TopicPartition(topic, $0) }
        let committed = try committedOffsets(of: group, partitions, timeout: timeout)
        var lag: [TopicPartition: Int64] = [:]
        for partition in partitions {
            let ends = try watermarks(of: partition, timeout: timeout)
            let position = max(committed[partition].flatMap { $0 } ?? ends.low, ends.low)
            lag[partition] = max(0, ends.high - position)
        }
        return lag
    }
}
