import KafkaBridge
import RecordChecks
import Workflow

/// Reads a partition batch by batch, from a stored position on.
///
/// Used by one task. While it is not called nothing is taken from the consumer, whose prefetch is bounded:
/// that is the back-pressure of a slow store.
struct PartitionReader {
    private let consumer: KafkaConsumer
    private let partition: TopicPartition
    private let limits: ConnectorLimits
    private let shouldStop: @Sendable () -> Bool
    private let observe: @Sendable (ConnectorObservation) -> Void
    private var builder: BatchBuilder
    /// Records that were polled and did not fit the batch.
    private var waiting: (records: ConsumedRecords, next: Int)?
    /// The partition's end behind ``waiting``; it is told once.
    private var endBehindWaiting: Int64?

    /// How long a poll waits while nothing is at hand: a stop is seen this late at most.
    private static let idlePoll = Duration.milliseconds(200)

    init(
        _ parts: ConnectorParts, stream: ConnectorStream, limits: ConnectorLimits, hooks: ConnectorHooks,
        after progress: StreamProgress
    ) {
        consumer = parts.consumer
        partition = stream.partition
        self.limits = limits
        shouldStop = hooks.shouldStop
        observe = hooks.observe
        builder = BatchBuilder(
            partition: stream.partition,
            reader: RecordReader(symbol: stream.symbol, interval: stream.interval),
            limits: limits, after: progress)
    }

    /// Gives the next batch: full, ended, or older than its time; empty when nothing came for a while.
    mutating func next() async -> StreamBatch {
        var deadline: ContinuousClock.Instant?
        takeWaiting()
        while builder.batch.ending == nil, !builder.isFull, waiting == nil {
            if shouldStop() {
                builder.end(.stopped)
                break
            }
            let now = ContinuousClock.now
            if let deadline, now >= deadline { break }
            if deadline == nil, !builder.batch.isEmpty { deadline = now + limits.batchWait }
            do throws(KafkaError) {
                let wait = deadline.map { $0 - now } ?? Self.idlePoll
                let records = try await consumer.poll(recordsMax: limits.pollRecordsMax, timeout: wait)
                take(records, from: records.startIndex)
                for event in records.events { react(to: event) }
                // Nothing at hand: let what was read and its position be committed.
                if records.isEmpty, builder.batch.isEmpty { break }
            } catch {
                builder.end(.failed(ConnectorError(error)))
            }
        }
        // Nothing after the end is wanted: a broker that answers empty fetches at once would be asked all the
        // time while the last batch is written.
        if builder.batch.ending != nil { try? await consumer.pause([partition]) }
        return builder.take()
    }

    private mutating func takeWaiting() {
        guard let (records, next) = waiting else { return }
        waiting = nil
        take(records, from: next)
        guard waiting == nil, let end = endBehindWaiting else { return }
        builder.reachedEnd(offset: end)
        endBehindWaiting = nil
    }

    private mutating func take(_ records: ConsumedRecords, from start: Int) {
        for index in start..<records.endIndex {
            guard builder.batch.ending == nil else { return }
            if !builder.add(records[index]) {
                waiting = (records, index)
                return
            }
        }
    }

    private mutating func react(to event: ConsumerEvent) {
        switch event {
        case .endReached(partition, let offset):
            // With records left over, the batch does not reach to the end.
            if waiting == nil { builder.reachedEnd(offset: offset) } else { endBehindWaiting = offset }
        case .partitionFailed(_, let error):
            observe(.readFailed(error))
            switch error.code {
            case .offsetOutOfRange, .unknownTopic, .unauthorized:
                builder.end(.failed(ConnectorError(error)))
            default: break
            }
        case .failed(let error):
            observe(.readFailed(error))
            if error.isFatal { builder.end(.failed(ConnectorError(error))) }
        case .endReached, .rebalanced: break
        }
    }
}
