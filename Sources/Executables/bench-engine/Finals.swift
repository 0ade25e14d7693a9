import ArgumentParser
import Foundation
import KafkaBridge
import Workflow

extension BenchEngine {
    /// What `scripts/chaos engine` judges: whether an attempt said twice how it ended.
    struct Finals: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the final events of a topic, one line of JSON each.")

        private static let batchMax = 1_000
        private static let idleLimit = Duration.seconds(20)

        @Option(help: "Brokers, host:port.")
        var servers: String
        @Option(help: "The events topic.")
        var topic: String
        @Flag(help: "The broker is noida-db.")
        var rereadAborted = false

        func run() async throws {
            var connection = KafkaConnection(servers)
            connection.rereadsAborted = rereadAborted
            let admin = try KafkaAdmin(connection)
            let counts = try await admin.partitionCounts(of: [topic])
            await admin.close()
            guard let count = counts[topic] else { throw LoadError("there is no topic \(topic)") }
            let partitions = (0..<count).map { TopicPartition(topic, Int32($0)) }
            let consumer = try KafkaConsumer(connection)
            try await consumer.assign(
                Dictionary(uniqueKeysWithValues: partitions.map { ($0, KafkaPosition.beginning) }))
            var unread = Set(partitions)
            var lastProgress = ContinuousClock.now
            while !unread.isEmpty {
                let records = try await consumer.poll(recordsMax: Self.batchMax, timeout: .milliseconds(250))
                for record in records { try Self.show(record) }
                for event in records.events {
                    if case .endReached(let place, _) = event { unread.remove(place) }
                }
                if !records.isEmpty || !records.events.isEmpty { lastProgress = .now }
                guard ContinuousClock.now - lastProgress < Self.idleLimit else {
                    throw LoadError("partitions \(unread) could not be read to their ends")
                }
            }
            await consumer.close()
        }

        private static func show(_ record: ConsumedRecord) throws {
            let event = try MessageCodec.decode(QueueEvent.self, from: record.value ?? [])
            guard event.finished else { return }
            FileHandle.standardOutput.write(Data(try MessageCodec.encode(event) + [10]))
        }
    }
}
