import Foundation
import KafkaBridge
import LocalStack
import ServiceRuntime

/// Our side of `scripts/bench-kafka`, and the broker and topics for both sides.
///
///     bench-kafka broker FOLDER                                   starts a broker, prints its address, ends with stdin
///     bench-kafka create|delete SERVERS TOPIC…
///     bench-kafka produce|consume SERVERS TOPIC COUNT BYTES       prints seconds
@main
struct BenchKafka {
    static func main() async throws {
        // As every worker does.
        MemoryPolicy.shareOneHeap()
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch (arguments.first, arguments.count) {
        case ("broker", 2):
            try await runBroker(directory: arguments[1])
        case ("create", 3...):
            let admin = try KafkaAdmin(KafkaConnection(arguments[1]))
            let topics = arguments.dropFirst(2).map { TopicSpecification($0, partitions: 1, replication: 1) }
            try await admin.createTopics(topics, existingIsFine: false)
            await admin.close()
        case ("delete", 3...):
            let admin = try KafkaAdmin(KafkaConnection(arguments[1]))
            try await admin.deleteTopics(Array(arguments.dropFirst(2)))
            await admin.close()
        case ("produce", 5), ("consume", 5):
            guard let count = Int(arguments[3]), let bytes = Int(arguments[4]), count > 0, bytes >= 8 else {
                throw Usage()
            }
            let work = Work(
                connection: KafkaConnection(arguments[1]), topic: arguments[2], count: count, bytes: bytes)
            let elapsed = try await arguments[0] == "produce" ? work.produce() : work.consume()
            print(String(format: "%.6f", elapsed / .seconds(1)))
        default:
            throw Usage()
        }
    }

    private static func runBroker(directory: String) async throws {
        let broker = try await KafkaBroker.start(
            KafkaBroker.Choice(environment: ProcessInfo.processInfo.environment), directory: directory,
            diesWithParent: true)
        FileHandle.standardOutput.write(Data("\(broker.connection.bootstrapServers)\n".utf8))
        // The script closes our input when it is done or dies.
        while readLine() != nil {}
        await broker.stop(grace: .seconds(5))
    }

    struct Usage: Error, CustomStringConvertible {
        var description: String { "usage: see Sources/Executables/bench-kafka/BenchKafka.swift" }
    }
}

/// One measured run. The clock runs as in `bench/kafka_peer.c`.
struct Work {
    var connection: KafkaConnection
    var topic: String
    var count: Int
    var bytes: Int

    /// The first tenth is sent before the clock starts: connecting, first use of memory and of code are not what
    /// is compared.
    func produce() async throws -> Duration {
        let producer = try KafkaProducer(connection)
        let warmUp = max(1, count / 10)
        var batch = RecordBatch()
        try await send(0..<warmUp, &batch, producer)
        let clock = ContinuousClock()
        let start = clock.now
        try await send(warmUp..<count, &batch, producer)
        let elapsed = clock.now - start
        try await producer.close()
        return elapsed
    }

    private func send(
        _ numbers: Range<Int>, _ batch: inout RecordBatch, _ producer: KafkaProducer
    ) async throws {
        // Bounded like a real loader's: memory of acknowledged batches is used again.
        let (batchMax, underWayMax) = (5_000, 8)
        var underWay: [BatchReceipt] = []
        var acknowledged = 0
        for first in stride(from: numbers.lowerBound, to: numbers.upperBound, by: batchMax) {
            if underWay.count == underWayMax { acknowledged += try await underWay.removeFirst().value.count }
            fill(&batch, first..<min(first + batchMax, numbers.upperBound))
            underWay.append(try await producer.enqueue(batch, to: topic, partition: 0))
        }
        try await producer.flush(timeout: .seconds(60))
        for receipt in underWay { acknowledged += try await receipt.value.count }
        guard acknowledged == numbers.count else { throw Incomplete(count: acknowledged) }
    }

    func consume() async throws -> Duration {
        let consumer = try KafkaConsumer(connection)
        _ = try await consumer.watermarks(of: TopicPartition(topic, 0))
        let clock = ContinuousClock()
        let start = clock.now
        try await consumer.assign([TopicPartition(topic, 0): .offset(0)])
        var seen = 0
        var sum: UInt64 = 0
        while seen < count {
            let records = try await consumer.poll(recordsMax: 10_000, timeout: .milliseconds(100))
            for record in records {
                guard record.valueBytes == bytes else { throw Incomplete(count: seen) }
                sum += record.withValue { UInt64($0?.first ?? 0) }
            }
            seen += records.count
        }
        let elapsed = clock.now - start
        await consumer.close()
        guard sum > 0 else { throw Incomplete(count: 0) }
        return elapsed
    }

    private func fill(_ batch: inout RecordBatch, _ numbers: Range<Int>) {
        batch.removeAll()
        for number in numbers {
            batch.append(key: nil as [UInt8]?, valueBytesMax: bytes) { buffer in
                buffer.initializeMemory(as: UInt8.self, repeating: UInt8(ascii: "x"))
                buffer.storeBytes(of: number, as: Int.self)
                return bytes
            }
        }
    }

    struct Incomplete: Error { var count: Int }
}
