import Foundation
import KafkaBridge
import Synchronization
import TestSupport
import Testing

/// One broker for a whole suite; its tests take ``BrokerTrait/connection``.
struct BrokerTrait: SuiteTrait, TestScoping {
    @TaskLocal static var shared: KafkaConnection?

    static var connection: KafkaConnection {
        get throws { try #require(shared, "the suite lacks the trait .broker") }
    }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await withBroker { connection in
            try await Self.$shared.withValue(connection) { try await function() }
        }
    }
}

extension Trait where Self == BrokerTrait {
    static var broker: Self { Self() }
}

/// A topic of its own for one test.
func makeTopic(
    _ connection: KafkaConnection, partitions: Int = 1, configuration: [String: String] = [:]
) async throws -> String {
    let topic = uniqueName("topic")
    let admin = try KafkaAdmin(connection)
    try await admin.createTopics([
        TopicSpecification(topic, partitions: partitions, replication: 1, configuration: configuration)
    ])
    await admin.close()
    return topic
}

/// Records `prefix-0`, `prefix-1`, … with the number in the header `sf-seq`.
func makeBatch(_ count: Int, prefix: String = "record") -> RecordBatch {
    var batch = RecordBatch()
    for number in 0..<count {
        batch.append(
            key: "key-\(number)".utf8, value: "\(prefix)-\(number)".utf8,
            headers: [(name: "sf-seq", value: Array("\(number)".utf8))])
    }
    return batch
}

/// Reads until `count` records came or the time is over.
func readValues(
    _ consumer: KafkaConsumer, _ count: Int, timeout: Duration = .seconds(20)
) async throws -> [String] {
    let deadline = ContinuousClock.now + timeout
    var values: [String] = []
    while values.count < count, ContinuousClock.now < deadline {
        let records = try await consumer.poll(timeout: .milliseconds(500))
        values += records.map { String(decoding: $0.value ?? [], as: UTF8.self) }
    }
    return values
}

/// Reads every record until all of the given partitions reported their end.
func readToEnd(
    _ connection: KafkaConnection, _ positions: [TopicPartition: KafkaPosition],
    isolation: KafkaIsolation = .readCommitted, timeout: Duration = .seconds(20)
) async throws -> [String] {
    var configuration = KafkaConsumerConfiguration()
    configuration.isolation = isolation
    let consumer = try KafkaConsumer(connection, configuration)
    try await consumer.assign(positions)
    let deadline = ContinuousClock.now + timeout
    var open = Set(positions.keys)
    var values: [String] = []
    while !open.isEmpty, ContinuousClock.now < deadline {
        let records = try await consumer.poll(timeout: .milliseconds(500))
        values += records.map { String(decoding: $0.value ?? [], as: UTF8.self) }
        for case .endReached(let partition, _) in records.events { open.remove(partition) }
    }
    await consumer.close()
    try #require(open.isEmpty, "no end reported for \(open) within \(timeout)")
    return values
}

/// Collects what a client tells about itself.
final class ObservationLog: Sendable {
    private let seen = Mutex<[KafkaObservation]>([])

    var observer: KafkaObserver {
        { [self] observation in seen.withLock { $0.append(observation) } }
    }

    var all: [KafkaObservation] { seen.withLock { $0 } }

    var statistics: [KafkaStatistics] {
        all.compactMap { if case .statistics(let told) = $0 { told } else { nil } }
    }

    var clientFailures: [KafkaError] {
        all.compactMap { if case .clientFailed(let error) = $0 { error } else { nil } }
    }

    var deliveryFailures: [KafkaError] {
        all.compactMap { if case .deliveryFailed(let error, _, _) = $0 { error } else { nil } }
    }
}

/// The error that `body` throws, or a failure of the test.
func kafkaError(
    _ sourceLocation: SourceLocation = #_sourceLocation, of body: () async throws -> Void
) async throws -> KafkaError {
    do {
        try await body()
    } catch let error as KafkaError {
        return error
    }
    return try #require(nil as KafkaError?, "no KafkaError was thrown", sourceLocation: sourceLocation)
}
