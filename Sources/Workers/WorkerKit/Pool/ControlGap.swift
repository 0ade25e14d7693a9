import KafkaBridge
import Workflow

/// Reads stops that were sent before a pool's own reading began, or that it has forgotten.
actor ControlGap {
    private let connection: @Sendable () -> KafkaConnection
    private let observe: KafkaObserver

    private static let recordsMax = 100_000
    private static let timeMax = Duration.seconds(20)
    private static let pollMax = Duration.milliseconds(500)

    init(_ connection: @escaping @Sendable () -> KafkaConnection, observe: @escaping KafkaObserver) {
        self.connection = connection
        self.observe = observe
    }

    /// - Throws: ``KafkaError``; `timedOut` also when there is more than it may read.
    func stops(
        _ partition: TopicPartition, _ gap: Range<Int64>
    ) async throws(KafkaError) -> [SeenStops.Stop] {
        var configuration = KafkaConsumerConfiguration()
        configuration.prefetchBytesMax = 4 << 20
        let consumer = try KafkaConsumer(connection(), configuration, observe: observe)
        do throws(KafkaError) {
            let stops = try await read(consumer, partition, gap)
            await consumer.close()
            return stops
        } catch {
            await consumer.close()
            throw error
        }
    }

    private func read(
        _ consumer: KafkaConsumer, _ partition: TopicPartition, _ gap: Range<Int64>
    ) async throws(KafkaError) -> [SeenStops.Stop] {
        let deadline = ContinuousClock.now + Self.timeMax
        // What was deleted for its age concerns nobody who may still begin.
        let low = try await consumer.watermarks(of: partition).low
        var position = max(gap.lowerBound, low)
        guard position < gap.upperBound else { return [] }
        try await consumer.assign([partition: .offset(position)])
        var stops: [SeenStops.Stop] = []
        var count = 0
        while position < gap.upperBound {
            guard count < Self.recordsMax, ContinuousClock.now < deadline else {
                throw KafkaError(
                    .timedOut, operation: "read earlier commands of \(partition)",
                    detail: "offset \(position) of \(gap.upperBound) after \(count) records",
                    isRetriable: true)
            }
            let records = try await consumer.poll(recordsMax: 1_000, timeout: Self.pollMax)
            for record in records {
                position = record.offset + 1
                count += 1
                guard record.offset < gap.upperBound, let command = Self.command(record, onSkip: { _ in }),
                    command.command == .stop
                else { continue }
                stops.append(
                    SeenStops.Stop(partition: record.partition, offset: record.offset, command: command))
            }
            for case .endReached(_, let offset) in records.events { position = max(position, offset) }
        }
        return stops
    }

    /// nil for what is no command; a kind that this version does not know is none.
    static func command(_ record: ConsumedRecord, onSkip: (String) -> Void) -> ControlCommand? {
        guard let value = record.value else { return nil }
        do throws(MessageError) {
            return try MessageCodec.decode(ControlCommand.self, from: value)
        } catch {
            onSkip(error.detail)
            return nil
        }
    }
}
