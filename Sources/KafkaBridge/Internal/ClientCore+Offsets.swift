internal import CRdkafka
import Glibc

/// Broker look-ups that both consumers and the admin client make. They block: only on a client's own thread.
extension ClientCore {
    enum Edge: Int32, Sendable {
        // "The offset for the time -2" is the beginning, "-1" the end (ListOffsets of Kafka's protocol).
        case beginning = -2
        case end = -1
    }

    /// The first offset at or after a time in milliseconds, or at an edge; nil where there is none. All or an error.
    ///
    /// Asks again, and for the leader, while a partition has none or another than was known: after its topic was made,
    /// or when a broker went. What did not pass until `deadline` is told as retriable.
    /// - Parameter isMade: a topic that is not known is known soon.
    func offsets(
        forTimes times: [TopicPartition: Int64], isMade: Bool = false, operation: String,
        until deadline: ContinuousClock.Instant
    ) throws(KafkaError) -> [TopicPartition: Int64?] {
        while true {
            if Task.isCancelled {
                throw KafkaError(RD_KAFKA_RESP_ERR__INTR, operation: operation, detail: "cancelled")
            }
            var problem: KafkaError
            do throws(KafkaError) {
                return try askOnce(times, operation, limit: min(Self.questionMax, deadline - .now))
            } catch {
                problem = error
            }
            if isMade, problem.code == .unknownTopic { problem.isRetriable = true }
            guard problem.isRetriable, deadline - .now > Self.leaderPause else { throw problem }
            usleep(useconds_t(Self.leaderPause.milliseconds * 1_000))
            // Or it would be asked of the same leader again.
            if problem.code != .unknownTopic {
                refreshLeaders(of: Set(times.keys.map(\.topic)), until: deadline)
            }
        }
    }

    /// Where these partitions begin or end, asked of each leader in one request; otherwise as above.
    func offsets(
        of partitions: some Collection<TopicPartition>, at edge: Edge, isMade: Bool = false,
        operation: String, until deadline: ContinuousClock.Instant
    ) throws(KafkaError) -> [TopicPartition: Int64] {
        let edges = partitions.map { ($0, Int64(edge.rawValue)) }
        let found = try offsets(
            forTimes: Dictionary(edges) { first, _ in first }, isMade: isMade, operation: operation,
            until: deadline)
        return found.compactMapValues { $0 }
    }

    func watermarks(
        of partition: TopicPartition, isMade: Bool = false, timeout: Duration
    ) throws(KafkaError) -> Watermarks {
        let operation = "read the offsets of \(partition)"
        let deadline = ContinuousClock.now + timeout
        func offset(_ edge: Edge) throws(KafkaError) -> Int64 {
            let found = try offsets(
                of: [partition], at: edge, isMade: isMade, operation: operation, until: deadline)
            guard let offset = found[partition] else {
                throw KafkaError(.other, operation: operation, detail: "the broker gave no offset")
            }
            return offset
        }
        let low = try offset(.beginning)
        return Watermarks(low: low, high: max(low, try offset(.end)))
    }

    private static let leaderPause = Duration.milliseconds(50)
    /// A broker that is gone does not answer at all: after this the leader may be another.
    private static let questionMax = Duration.seconds(2)

    /// `rd_kafka_query_watermark_offsets` would do, but before librdkafka 2.3 it waits as long as its requests do.
    private func askOnce(
        _ times: [TopicPartition: Int64], _ operation: String, limit: Duration
    ) throws(KafkaError) -> [TopicPartition: Int64?] {
        let list = PartitionList(times)
        let result = list.withPointer {
            rd_kafka_offsets_for_times(client, $0, max(.milliseconds(1), limit).milliseconds)
        }
        // "Unknown partition" is also said when none has a leader: the partitions' own errors tell these apart.
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR || result == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION else {
            throw error(result, operation: operation)
        }
        let found = try list.positions(operation)
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else { throw error(result, operation: operation) }
        return found
    }

    /// Before a topic's first question its leaders are asked for anyway, so this is for those that moved. librdkafka
    /// keeps a topic that was named so for as long as the client lives.
    private func refreshLeaders(of topics: Set<String>, until deadline: ContinuousClock.Instant) {
        for name in topics {
            let left = deadline - .now
            guard left > .zero, let topic = rd_kafka_topic_new(client, name, nil) else { return }
            defer { rd_kafka_topic_destroy(topic) }
            var metadata: UnsafePointer<rd_kafka_metadata>?
            // What it brings goes to librdkafka's own memory; that it fails shows in the next question.
            if rd_kafka_metadata(client, 0, topic, &metadata, min(left, .seconds(1)).milliseconds)
                == RD_KAFKA_RESP_ERR_NO_ERROR
            {
                rd_kafka_metadata_destroy(metadata)
            }
        }
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
