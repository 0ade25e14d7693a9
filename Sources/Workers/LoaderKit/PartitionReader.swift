import KafkaBridge

/// Reads committed records of one partition between two offsets.
struct PartitionReader: Sendable {
    private let consumer: KafkaConsumer
    private let partition: TopicPartition
    private let waitMax: Duration

    init(
        _ kafka: KafkaConnection, _ partition: TopicPartition, waitMax: Duration,
        observe: @escaping KafkaObserver
    ) throws(KafkaError) {
        var configuration = KafkaConsumerConfiguration()
        configuration.isolation = .readCommitted
        configuration.offsetReset = .fail
        consumer = try KafkaConsumer(kafka, configuration, observe: observe)
        self.partition = partition
        self.waitMax = waitMax
    }

    func close() async { await consumer.close() }

    func firstRecord(from start: Int64, to end: Int64) async throws -> TailRecord? {
        try await scan(from: start, to: end) { _ in true }
    }

    func lastRecord(from start: Int64, to end: Int64) async throws -> TailRecord? {
        try await scan(from: start, to: end) { _ in false }
    }

    /// The first record for which `isEnough` holds, else the last one before `end`.
    private func scan(
        from start: Int64, to end: Int64, isEnough: (ConsumedRecord) -> Bool
    ) async throws -> TailRecord? {
        try await consumer.assign([partition: .offset(start)])
        let clock = ContinuousClock()
        var deadline = clock.now + waitMax
        var last: ConsumedRecord?
        while true {
            let records = try await consumer.poll(timeout: .seconds(1))
            for record in records where record.offset < end {
                last = record
                if isEnough(record) { return TailRecord(record) }
            }
            if let offset = last?.offset, offset >= end - 1 { break }
            if try hasReached(end, records.events) { break }
            if !records.isEmpty { deadline = clock.now + waitMax }
            guard clock.now < deadline else {
                throw KafkaError(
                    .timedOut, operation: "read the end of \(partition)",
                    detail: "no record and no end after \(waitMax)", isRetriable: true)
            }
        }
        return last.map { TailRecord($0) }
    }

    private func hasReached(_ end: Int64, _ events: [ConsumerEvent]) throws(KafkaError) -> Bool {
        for event in events {
            switch event {
            case .endReached(partition, let offset) where offset >= end: return true
            case .partitionFailed(_, let error) where !error.isRetriable: throw error
            case .failed(let error) where error.isFatal: throw error
            default: continue
            }
        }
        return false
    }
}
