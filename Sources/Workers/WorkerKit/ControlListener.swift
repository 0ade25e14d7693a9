import KafkaBridge
import Workflow

/// Reads the commands of one queue's control partition, by assignment, from where the launcher said.
actor ControlListener {
    private let consumer: KafkaConsumer
    private let admin: KafkaAdmin
    private let partition: TopicPartition
    private let offset: Int64
    private let observe: WorkerObserver
    private var filter: CommandFilter
    private var position: Int64

    private static let pollMax = Duration.seconds(1)

    init(
        _ connection: KafkaConnection, partition: TopicPartition, offset: Int64, filter: CommandFilter,
        observe: WorkerObserver
    ) throws(KafkaError) {
        let observer: KafkaObserver = { observe(.kafka($0)) }
        // A few records of some hundred bytes.
        var configuration = KafkaConsumerConfiguration()
        configuration.prefetchBytesMax = 1 << 20
        consumer = try KafkaConsumer(connection, configuration, observe: observer)
        admin = try KafkaAdmin(connection, observe: observer)
        self.partition = partition
        self.offset = offset
        self.filter = filter
        self.observe = observe
        position = offset
    }

    /// Reads what is there now.
    ///
    /// - Returns: a stop that concerns this attempt, if there is one; pings are too old to be answered.
    /// - Throws: when the end was not reached within `limit`.
    func readToEnd(limit: Duration) async throws(KafkaError) -> CommandFilter.Reaction? {
        let deadline = ContinuousClock.now + limit
        // Asked for first: at the end of a partition a fetch would be held back by the broker.
        let ends = try await ends(deadline: deadline)
        // A partition that ends before the offset was made anew since the launch: all of it is new.
        let start = offset > ends.high ? ends.low : max(offset, ends.low)
        position = start
        try await consumer.assign([partition: .offset(start)])
        while position < ends.high {
            guard ContinuousClock.now < deadline else {
                throw KafkaError(
                    .timedOut, operation: "read the commands of \(partition)",
                    detail: "offset \(position) of \(ends.high) after \(limit)", isRetriable: true)
            }
            for case .stop(let reason) in try await poll() { return .stop(reason: reason) }
        }
        observe(.commandsRead)
        return nil
    }

    /// Asks in short turns, since a request under way does not see a cancellation.
    private func ends(deadline: ContinuousClock.Instant) async throws(KafkaError) -> Watermarks {
        while true {
            do throws(KafkaError) {
                return try await admin.watermarks(of: partition, isMade: true, timeout: Self.pollMax)
            } catch {
                guard error.isRetriable, ContinuousClock.now < deadline, !Task.isCancelled else {
                    throw error
                }
            }
        }
    }

    /// Hands on every reaction until the task is cancelled.
    func listen(_ react: @Sendable (CommandFilter.Reaction) -> Void) async throws(KafkaError) {
        while !Task.isCancelled {
            for reaction in try await poll() { react(reaction) }
        }
    }

    func close() async {
        await consumer.close()
        await admin.close()
    }

    private func poll() async throws(KafkaError) -> [CommandFilter.Reaction] {
        let records = try await consumer.poll(recordsMax: 500, timeout: Self.pollMax)
        var reactions: [CommandFilter.Reaction] = []
        for record in records {
            position = record.offset + 1
            guard let reaction = reaction(to: record), reaction != .skip else { continue }
            reactions.append(reaction)
        }
        for event in records.events {
            switch event {
            case .endReached(_, let offset): position = max(position, offset)
            case .partitionFailed(_, let error): observe(.listenFailed(error))
            case .failed(let error):
                if error.isFatal { throw error }
                observe(.listenFailed(error))
            case .rebalanced: break
            }
        }
        return reactions
    }

    private func reaction(to record: ConsumedRecord) -> CommandFilter.Reaction? {
        guard let value = record.value else { return nil }
        do throws(MessageError) {
            let command = try MessageCodec.decode(ControlCommand.self, from: value)
            let reaction = filter.apply(command)
            if reaction != .skip { observe(.commandReceived(command)) }
            return reaction
        } catch {
            observe(.commandSkipped(detail: error.detail))
            return nil
        }
    }
}
