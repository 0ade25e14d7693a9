import KafkaBridge

/// Where the event reader gets queue-events from.
package struct EventSource: Sendable {
    /// One record as it was read; `value` is nil for a tombstone.
    package struct Record: Sendable {
        package var partition: Int32
        package var offset: Int64
        package var value: [UInt8]?

        package init(partition: Int32, offset: Int64, value: [UInt8]?) {
            self.partition = partition
            self.offset = offset
            self.value = value
        }
    }

    /// Reads from these offsets on: (partition, next offset).
    package var assign: @Sendable ([Int32: Int64]) async throws -> Void
    /// Waits until there are records, at most `timeout`; in the order of offsets within a partition.
    package var poll: @Sendable (_ recordsMax: Int, _ timeout: Duration) async throws -> [Record]
    /// The offsets after the last records of these partitions, asked from the broker now.
    package var ends: @Sendable ([Int32]) async throws -> [Int32: Int64]
    package var close: @Sendable () async -> Void

    package init(
        assign: @escaping @Sendable ([Int32: Int64]) async throws -> Void,
        poll: @escaping @Sendable (_ recordsMax: Int, _ timeout: Duration) async throws -> [Record],
        ends: @escaping @Sendable ([Int32]) async throws -> [Int32: Int64],
        close: @escaping @Sendable () async -> Void
    ) {
        self.assign = assign
        self.poll = poll
        self.ends = ends
        self.close = close
    }
}

extension EventSource {
    /// A topic of Kafka, read by assignment; both clients are its own.
    package static func kafka(
        _ consumer: KafkaConsumer, _ asker: KafkaAdmin, topic: String
    ) -> EventSource {
        EventSource(
            assign: { offsets in
                let positions = offsets.map {
                    (TopicPartition(topic, $0.key), KafkaPosition.offset($0.value))
                }
                try await consumer.assign(Dictionary(uniqueKeysWithValues: positions))
            },
            poll: { recordsMax, timeout in
                let records = try await consumer.poll(recordsMax: recordsMax, timeout: timeout)
                for event in records.events {
                    switch event {
                    case .partitionFailed(_, let error): throw error
                    case .failed(let error): if error.isFatal { throw error }
                    case .endReached, .rebalanced: break
                    }
                }
                return records.map {
                    Record(partition: $0.partition, offset: $0.offset, value: $0.value.map { Array($0) })
                }
            },
            ends: { partitions in
                try await EngineKafka.ends(of: topic, partitions, asker)
            },
            close: {
                await consumer.close()
                await asker.close()
            })
    }
}
