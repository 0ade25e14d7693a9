internal import CRdkafka

/// Broker look-ups that both consumers and the admin client make. They block: only on a client's own thread.
extension ClientCore {
    /// The first offset at or after a time in milliseconds; nil where there is none.
    func offsets(
        forTimes times: [TopicPartition: Int64], timeout: Duration
    ) throws(KafkaError) -> [TopicPartition: Int64?] {
        let list = PartitionList(times)
        let result = list.withPointer { rd_kafka_offsets_for_times(client, $0, timeout.milliseconds) }
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw error(result, operation: "look up offsets by time")
        }
        return try list.positions("look up offsets by time")
    }

    func endOffsets(
        of partitions: some Collection<TopicPartition>, operation: String, timeout: Duration
    ) throws(KafkaError) -> [TopicPartition: Int64] {
        // "The offset for the time -1" is the end (ListOffsets of Kafka's protocol).
        let list = PartitionList(partitions, offset: Int64(RD_KAFKA_OFFSET_END))
        let result = list.withPointer { rd_kafka_offsets_for_times(client, $0, timeout.milliseconds) }
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else { throw error(result, operation: operation) }
        return try list.positions(operation).compactMapValues { $0 }
    }

    func watermarks(of partition: TopicPartition, timeout: Duration) throws(KafkaError) -> Watermarks {
        var low: Int64 = 0
        var high: Int64 = 0
        let result = rd_kafka_query_watermark_offsets(
            client, partition.topic, partition.partition, &low, &high, timeout.milliseconds)
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw error(result, operation: "read the offsets of \(partition)")
        }
        return Watermarks(low: low, high: high)
    }

    func pause(_ partitions: some Collection<TopicPartition>) throws(KafkaError) {
        guard !partitions.isEmpty else { return }
        let list = PartitionList(partitions)
        let result = list.withPointer { rd_kafka_pause_partitions(client, $0) }
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else { throw error(result, operation: "pause") }
        _ = try list.positions("pause")
    }

    /// Fetches these partitions again, from an offset or (nil) from where they were paused.
    func resume(_ partitions: [TopicPartition: Int64?]) throws(KafkaError) {
        guard !partitions.isEmpty else { return }
        let list = PartitionList(partitions.keys)
        let result = list.withPointer { rd_kafka_resume_partitions(client, $0) }
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else { throw error(result, operation: "resume") }
        _ = try list.positions("resume")
        // Resuming alone leaves librdkafka 2.0's fetching thread asleep for up to a second; a seek wakes it.
        let known = partitions.compactMapValues { $0 }
        guard !known.isEmpty else { return }
        let targets = PartitionList(known)
        let error = targets.withPointer { rd_kafka_seek_partitions(client, $0, 0) }
        if let error = KafkaError(taking: error, operation: "resume") { throw error }
    }

    /// Fetches a partition again from its first record; what is fetched already is thrown away.
    ///
    /// Not waited for. If it fails, the partition's end comes again and with it another try.
    func seekToBeginning(_ partition: TopicPartition) {
        let list = PartitionList([partition: Int64(RD_KAFKA_OFFSET_BEGINNING)])
        list.withPointer { list in
            if let error = rd_kafka_seek_partitions(client, list, 0) { rd_kafka_error_destroy(error) }
        }
    }

    /// Makes the threads that fetch these partitions look at once whether there is room for more.
    ///
    /// When the prefetch limit is reached, librdkafka before 2.2 lets such a thread sleep for up to a second
    /// and no matter how much is read meanwhile, it is not woken. Any request to its broker does wake it:
    /// this one is small, its answer is not waited for and is thrown away.
    func wakeFetching(_ partitions: Set<TopicPartition>) {
        guard !partitions.isEmpty else { return }
        let list = PartitionList(partitions, offset: Int64(RD_KAFKA_OFFSET_END))
        list.withPointer { _ = rd_kafka_offsets_for_times(client, $0, 0) }
    }
}
