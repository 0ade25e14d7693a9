import KafkaBridge
import Synchronization
import Workflow

/// Reads which attempts the engine has ended: all of queue-control that is kept, by assignment.
final class ConnectorControl: Sendable {
    private struct State {
        var stopped = StoppedAttempts()
        var positions: [Int32: Int64] = [:]
        var ends: [Int32: Int64] = [:]
    }

    let topic: String
    private let consumer: KafkaConsumer
    private let admin: KafkaAdmin
    private let observe: @Sendable (SharedObservation) -> Void
    private let state = Mutex(State())

    private static let pollMax = Duration.seconds(1)
    private static let requestMax = Duration.seconds(2)
    private static let retryPause = Duration.milliseconds(200)

    init(
        _ connection: KafkaConnection, topic: String,
        observe: @escaping @Sendable (SharedObservation) -> Void
    ) throws(KafkaError) {
        self.topic = topic
        self.observe = observe
        // A few records of some hundred bytes.
        var configuration = KafkaConsumerConfiguration()
        configuration.prefetchBytesMax = 1 << 20
        consumer = try KafkaConsumer(connection, configuration, observe: { observe(.kafka($0)) })
        admin = try KafkaAdmin(connection, observe: { observe(.kafka($0)) })
    }

    var stopped: StoppedAttempts { state.withLock { $0.stopped } }

    /// Whether everything that was there at ``open()`` is read.
    var isRead: Bool {
        state.withLock { state in state.ends.allSatisfy { state.positions[$0.key, default: 0] >= $0.value } }
    }

    /// Begins to read at the beginning.
    ///
    /// - Returns: false while the topic is not there.
    func open() async throws(KafkaError) -> Bool {
        guard let count = try await admin.partitionCounts(of: [topic], timeout: Self.requestMax)[topic] else {
            return false
        }
        let partitions = (0..<Int32(count)).map { TopicPartition(topic, $0) }
        let ends = try await admin.endOffsets(of: partitions, timeout: Self.requestMax)
        guard ends.count == count else { return false }
        var begins: [TopicPartition: KafkaPosition] = [:]
        for partition in partitions { begins[partition] = .beginning }
        try await consumer.assign(begins)
        state.withLock { state in
            for (partition, end) in ends { state.ends[partition.partition] = end }
        }
        return true
    }

    /// Whether the broker has a topic.
    func exists(_ topic: String) async throws(KafkaError) -> Bool {
        try await admin.partitionCounts(of: [topic], timeout: Self.requestMax)[topic] != nil
    }

    /// Reads commands until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            do throws(KafkaError) {
                take(try await consumer.poll(recordsMax: 1_000, timeout: Self.pollMax))
            } catch {
                if error.code == .cancelled || error.code == .closed { break }
                observe(.controlFailed(error))
                try? await Task.sleep(for: Self.retryPause)
            }
        }
    }

    func close() async {
        await consumer.close()
        await admin.close()
    }

    private func take(_ records: ConsumedRecords) {
        for record in records {
            let command = record.value.flatMap { try? MessageCodec.decode(ControlCommand.self, from: $0) }
            state.withLock { state in
                state.positions[record.partition] = record.offset + 1
                // What this version does not understand is for others.
                if let command { state.stopped.note(command) }
            }
        }
        for event in records.events {
            switch event {
            case .endReached(let partition, let offset):
                state.withLock { state in
                    state.positions[partition.partition] = max(
                        state.positions[partition.partition, default: 0], offset)
                }
            case .partitionFailed(_, let error), .failed(let error): observe(.controlFailed(error))
            case .rebalanced: break
            }
        }
    }
}
