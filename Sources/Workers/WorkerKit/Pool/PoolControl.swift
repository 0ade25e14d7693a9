import KafkaBridge
import Synchronization
import Workflow

/// The one reader of commands for all instances of a pool: all partitions of queue-control, by assignment,
/// from their ends at its start.
final class PoolControl: Sendable {
    /// A running instance, as commands reach it.
    struct Listener: Sendable {
        var filter: CommandFilter
        var feed: AttemptRun.Inputs.Continuation
        var telemetry: Telemetry
    }

    private struct Waiter {
        var ends: [Int32: Int64]
        var deadline: ContinuousClock.Instant
        var continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var stops = SeenStops()
        var listeners: [QueueID: [UInt64: Listener]] = [:]
        /// The next offset to read, by partition.
        var positions: [Int32: Int64] = [:]
        var waiters: [Waiter] = []
    }

    let topic: String
    private let consumer: KafkaConsumer
    private let admin: KafkaAdmin
    private let gaps: ControlGap
    private let observe: PoolObserver
    private let state = Mutex(State())

    private static let pollMax = Duration.seconds(1)
    private static let requestMax = Duration.seconds(2)
    /// To learn the commands up to now, for one batch of offers.
    private static let prepareMax = Duration.seconds(60)
    private static let retryPause = Duration.milliseconds(200)

    init(_ connection: @escaping @Sendable () -> KafkaConnection, topic: String, observe: PoolObserver)
        throws(KafkaError)
    {
        self.topic = topic
        self.observe = observe
        let kafka: KafkaObserver = { observe(.kafka($0)) }
        // A few records of some hundred bytes.
        var configuration = KafkaConsumerConfiguration()
        configuration.prefetchBytesMax = 1 << 20
        consumer = try KafkaConsumer(connection(), configuration, observe: kafka)
        admin = try KafkaAdmin(connection(), observe: kafka)
        gaps = ControlGap(connection, observe: kafka)
    }

    /// Begins to read at the ends of all partitions.
    ///
    /// - Returns: false while the topic is not there.
    func open() async throws(KafkaError) -> Bool {
        guard let count = try await admin.partitionCounts(of: [topic], timeout: Self.requestMax)[topic] else {
            return false
        }
        let partitions = (0..<Int32(count)).map { TopicPartition(topic, $0) }
        let ends = try await admin.endOffsets(of: partitions, timeout: Self.requestMax)
        guard ends.count == count else { return false }
        state.withLock { state in
            for (partition, end) in ends {
                state.stops.cover(partition.partition, from: end)
                state.positions[partition.partition] = end
            }
        }
        try await consumer.assign(ends.mapValues { .offset($0) })
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
                let records = try await consumer.poll(recordsMax: 500, timeout: Self.pollMax)
                take(records)
            } catch {
                if error.code == .cancelled || error.code == .closed { break }
                observe(.controlFailed(error))
                try? await Task.sleep(for: Self.retryPause)
            }
            resumeWaiters()
        }
        for waiter in state.withLock({ Self.takeAll(&$0.waiters) }) {
            waiter.continuation.resume(returning: false)
        }
    }

    func close() async {
        await consumer.close()
        await admin.close()
    }

    // MARK: - Before an instance begins

    /// Learns all commands that were sent up to now to the partitions of these offers.
    ///
    /// - Returns: stops of the past that are not in the table, by partition.
    /// - Throws: the last error when that was not possible in time: nothing may begin then.
    func prepare(_ batch: TakenBatch) async throws(KafkaError) -> [Int32: [SeenStops.Stop]] {
        let offers = batch.offers
        let partitions = Set(offers.map(\.controlPartition))
        let deadline = ContinuousClock.now + Self.prepareMax
        let ends: [Int32: Int64]
        if let known = batch.ends { ends = known } else { ends = try await self.ends(partitions, deadline) }
        guard await waitUntilRead(ends, deadline) else {
            throw KafkaError(
                .timedOut, operation: "read the commands of \(topic)",
                detail: "not at their end after \(Self.prepareMax)", isRetriable: true)
        }
        var found: [Int32: [SeenStops.Stop]] = [:]
        for partition in partitions {
            let oldest = offers.filter { $0.controlPartition == partition }.map(\.controlOffset).min() ?? 0
            guard let gap = state.withLock({ $0.stops.gap(partition, from: oldest) }) else { continue }
            let read = try await gaps.stops(TopicPartition(topic, partition), gap)
            observe(.gapRead(TopicPartition(topic, partition), offsets: Int64(gap.count), stops: read.count))
            state.withLock { $0.stops.fill(partition, gap, with: read) }
            found[partition] = read
        }
        return found
    }

    /// Lets commands reach an instance from now on, unless a stop was there already.
    ///
    /// - Parameter more: what ``prepare(_:)`` found for the offer's partition.
    /// - Returns: false when it must not begin.
    func admit(_ offer: TakenOffer, run: UInt64, _ listener: Listener, _ more: [SeenStops.Stop]) -> Bool {
        state.withLock { state in
            if state.stops.endsBeforeStart(offer.offer, since: offer.controlOffset, more) { return false }
            state.listeners[offer.offer.queueID, default: [:]][run] = listener
            return true
        }
    }

    func leave(_ queueID: QueueID, run: UInt64) {
        state.withLock { state in
            state.listeners[queueID]?[run] = nil
            if state.listeners[queueID]?.isEmpty == true { state.listeners[queueID] = nil }
        }
    }

    /// Where the commands to these offers end now; nil when the broker did not say so at once.
    func ends(of offers: [TakenOffer]) async -> [Int32: Int64]? {
        let partitions = Set(offers.map { TopicPartition(topic, $0.controlPartition) })
        guard let ends = try? await admin.endOffsets(of: partitions, timeout: Self.requestMax),
            ends.count == partitions.count
        else { return nil }
        return Dictionary(uniqueKeysWithValues: ends.map { ($0.key.partition, $0.value) })
    }

    /// One request for all partitions; tried again while the broker is away.
    private func ends(
        _ partitions: Set<Int32>, _ deadline: ContinuousClock.Instant
    ) async throws(KafkaError) -> [Int32: Int64] {
        while true {
            do throws(KafkaError) {
                let asked = partitions.map { TopicPartition(topic, $0) }
                let ends = try await admin.endOffsets(of: asked, timeout: Self.requestMax)
                return Dictionary(uniqueKeysWithValues: ends.map { ($0.key.partition, $0.value) })
            } catch {
                guard error.isRetriable, ContinuousClock.now < deadline, !Task.isCancelled else {
                    throw error
                }
                try? await Task.sleep(for: Self.retryPause)
            }
        }
    }

    private func waitUntilRead(_ ends: [Int32: Int64], _ deadline: ContinuousClock.Instant) async -> Bool {
        await withCheckedContinuation { continuation in
            let isRead = state.withLock { state in
                if Self.isRead(ends, state.positions) { return true }
                state.waiters.append(Waiter(ends: ends, deadline: deadline, continuation: continuation))
                return false
            }
            if isRead { continuation.resume(returning: true) }
        }
    }

    private func resumeWaiters() {
        let now = ContinuousClock.now
        let over = state.withLock { state in
            guard !state.waiters.isEmpty else { return [(Waiter, Bool)]() }
            var over: [(Waiter, Bool)] = []
            for waiter in Self.takeAll(&state.waiters) {
                let isRead = Self.isRead(waiter.ends, state.positions)
                if isRead || waiter.deadline <= now {
                    over.append((waiter, isRead))
                } else {
                    state.waiters.append(waiter)
                }
            }
            return over
        }
        for (waiter, isRead) in over { waiter.continuation.resume(returning: isRead) }
    }

    private static func isRead(_ ends: [Int32: Int64], _ positions: [Int32: Int64]) -> Bool {
        ends.allSatisfy { positions[$0.key, default: 0] >= $0.value }
    }

    private static func takeAll(_ waiters: inout [Waiter]) -> [Waiter] {
        defer { waiters = [] }
        return waiters
    }

    // MARK: - Commands

    private func take(_ records: ConsumedRecords) {
        for record in records { note(record) }
        for event in records.events {
            switch event {
            case .endReached(let partition, let offset):
                state.withLock { $0.positions[partition.partition, default: 0].rise(to: offset) }
            case .partitionFailed(_, let error), .failed(let error): observe(.controlFailed(error))
            case .rebalanced: break
            }
        }
    }

    private func note(_ record: ConsumedRecord) {
        let (partition, offset) = (record.partition, record.offset)
        let command = ControlGap.command(record) { observe(.commandSkipped(detail: $0)) }
        let reactions = state.withLock { state -> [(Listener, CommandFilter.Reaction)] in
            state.positions[partition, default: 0].rise(to: offset + 1)
            guard let command else { return [] }
            if command.command == .stop {
                state.stops.note(SeenStops.Stop(partition: partition, offset: offset, command: command))
            }
            var reactions: [(Listener, CommandFilter.Reaction)] = []
            for (run, var listener) in state.listeners[command.queueID] ?? [:] {
                let reaction = listener.filter.apply(command)
                state.listeners[command.queueID]?[run] = listener
                if reaction != .skip { reactions.append((listener, reaction)) }
            }
            return reactions
        }
        for (listener, reaction) in reactions {
            observe.meters.commands.increment()
            switch reaction {
            case .stop(let reason): listener.feed.yield(.stop(.command(reason: reason)))
            case .answer(let ping): listener.telemetry.answer(ping)
            case .skip: break
            }
        }
    }
}

extension Int64 {
    fileprivate mutating func rise(to value: Int64) { self = Swift.max(self, value) }
}
