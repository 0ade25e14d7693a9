import KafkaBridge
import TestSupport
import Testing

@Suite(.broker, .serialized, .timeLimit(.minutes(2)))
struct ProducerTests {
    @Test func `a batch is acknowledged as a whole with its first and last offset`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection)
        let producer = try KafkaProducer(connection)
        let first = try await producer.send(makeBatch(500), to: topic, partition: 0)
        let second = try await producer.send(makeBatch(3), to: topic, partition: 0)
        #expect(first == BatchAcknowledgement(count: 500, partition: 0, firstOffset: 0, lastOffset: 499))
        #expect(second == BatchAcknowledgement(count: 3, partition: 0, firstOffset: 500, lastOffset: 502))
        try await producer.close()
    }

    @Test func `keys, values, headers and timestamps arrive as they were given`() async throws {
        let connection = try BrokerTrait.connection
        // One record is old: a broker that deletes by age must not.
        let topic = try await makeTopic(connection, configuration: ["retention.ms": "-1"])
        let producer = try KafkaProducer(connection)
        var batch = RecordBatch()
        batch.append(
            key: "k".utf8, value: "v".utf8,
            headers: [(name: "a", value: [1, 0, 2]), (name: "a", value: [3]), (name: "none", value: nil)],
            timestampMilliseconds: 1_722_470_400_000)
        batch.append(key: nil as [UInt8]?, value: nil as [UInt8]?)
        batch.append(key: [UInt8](), valueBytesMax: 8) { buffer in
            buffer.storeBytes(of: 0x4142, as: UInt16.self)
            return 2
        }
        _ = try await producer.send(batch, to: topic, partition: 0)
        try await producer.close()

        let consumer = try KafkaConsumer(connection)
        try await consumer.assign([TopicPartition(topic, 0): .beginning])
        var records: [ConsumedRecord] = []
        while records.count < 3 { records += try await consumer.poll(timeout: .seconds(5)) }
        #expect(records[0].key == Array("k".utf8))
        #expect(records[0].value == Array("v".utf8))
        #expect(records[0].header("a") == [3])
        #expect(records[0].headers.map(\.name) == ["a", "a", "none"])
        #expect(records[0].headers.map(\.value) == [[1, 0, 2], [3], nil])
        #expect(records[0].timestampMilliseconds == 1_722_470_400_000)
        #expect(records[0].header("b") == nil)
        #expect(records[1].key == nil && records[1].value == nil)
        #expect(records[2].key == [] && records[2].value == [0x42, 0x41])
        #expect(records.map(\.offset) == [0, 1, 2])
        await consumer.close()
    }

    @Test func `several batches under way keep their order`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection)
        let producer = try KafkaProducer(connection)
        var receipts: [BatchReceipt] = []
        for number in 0..<20 {
            receipts.append(
                try await producer.enqueue(makeBatch(100, prefix: "b\(number)"), to: topic, partition: 0))
        }
        var offsets: [Int64] = []
        for receipt in receipts { offsets.append(try await receipt.value.firstOffset) }
        #expect(offsets == (0..<20).map { Int64($0 * 100) })
        let values = try await readToEnd(connection, [TopicPartition(topic, 0): .beginning])
        let expected = (0..<20).flatMap { batch in (0..<100).map { "b\(batch)-\($0)" } }
        #expect(values == expected)
        try await producer.close()
    }

    @Test func `bare records and those with headers or times keep their order in one batch`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection, configuration: ["retention.ms": "-1"])
        let producer = try KafkaProducer(connection)
        var batch = RecordBatch()
        // Neighbours without headers are handed over many at once.
        for number in 0..<2_000 {
            let value = "v\(number)".utf8
            switch number {
            case 700: batch.append(key: "k".utf8, value: value, headers: [(name: "h", value: [1])])
            case 701: batch.append(key: "k".utf8, value: value, timestampMilliseconds: 1_722_470_400_000)
            case 702: batch.append(key: nil as [UInt8]?, value: value)
            default: batch.append(key: "k".utf8, value: value)
            }
        }
        let stored = try await producer.send(batch, to: topic, partition: 0)
        #expect(
            stored == BatchAcknowledgement(count: 2_000, partition: 0, firstOffset: 0, lastOffset: 1_999))
        let values = try await readToEnd(connection, [TopicPartition(topic, 0): .beginning])
        #expect(values == (0..<2_000).map { "v\($0)" })
        try await producer.close()
    }

    @Test func `nothing is sent after a record that is too large`() async throws {
        var connection = try BrokerTrait.connection
        connection.overrides["message.max.bytes"] = "20000"
        let topic = try await makeTopic(connection)
        let producer = try KafkaProducer(connection)
        var batch = RecordBatch()
        for number in 0..<600 {
            let length = number == 300 ? 20_000 : number == 200 ? 19_700 : 10
            batch.append(key: nil as [UInt8]?, value: [UInt8](repeating: 0x61, count: length))
        }
        let error = try await kafkaError { _ = try await producer.send(batch, to: topic, partition: 0) }
        #expect(error.code == .recordTooLarge && !error.isRetriable)
        #expect(try await readToEnd(connection, [TopicPartition(topic, 0): .beginning]).count == 300)
        try await producer.close()
    }

    @Test func `a producer tells what it sent`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection)
        let log = ObservationLog()
        var configuration = KafkaProducerConfiguration()
        configuration.statisticsInterval = .milliseconds(50)
        let producer = try KafkaProducer(connection, configuration, observe: log.observer)
        _ = try await producer.send(makeBatch(100), to: topic, partition: 0)
        let deadline = ContinuousClock.now + .seconds(10)
        var last: KafkaStatistics?
        repeat {
            try await Task.sleep(for: .milliseconds(20))
            last = log.statistics.last
        } while last?.sentRecords != 100 && ContinuousClock.now < deadline
        #expect(last?.isConsumer == false && last?.sentRecords == 100 && last?.queuedRecords == 0)
        #expect(try #require(last).sentBytes > 100)
        try await producer.close()
    }

    @Test func `a full queue makes senders wait and loses nothing`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection)
        var configuration = KafkaProducerConfiguration()
        configuration.queuedRecordsMax = 10
        let producer = try KafkaProducer(connection, configuration)
        async let left = producer.send(makeBatch(700, prefix: "left"), to: topic, partition: 0)
        async let right = producer.send(makeBatch(700, prefix: "right"), to: topic, partition: 0)
        let counts = try await (left.count, right.count)
        #expect(counts == (700, 700))
        let values = try await readToEnd(connection, [TopicPartition(topic, 0): .beginning])
        for prefix in ["left", "right"] {
            #expect(values.filter { $0.hasPrefix(prefix) } == (0..<700).map { "\(prefix)-\($0)" })
        }
        #expect(values.count == 1_400)
        try await producer.close()
    }

    @Test func `a batch can be changed while its earlier content is still being sent`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection)
        let producer = try KafkaProducer(connection)
        var batch = makeBatch(2_000, prefix: "one")
        let receipt = try await producer.enqueue(batch, to: topic, partition: 0)
        batch.removeAll()
        for number in 0..<2_000 { batch.append(key: "k".utf8, value: "two-\(number)".utf8) }
        _ = try await producer.send(batch, to: topic, partition: 0)
        _ = try await receipt.value
        let values = try await readToEnd(connection, [TopicPartition(topic, 0): .beginning])
        #expect(values == (0..<2_000).map { "one-\($0)" } + (0..<2_000).map { "two-\($0)" })
        try await producer.close()
    }

    @Test func `closing stores what was handed over before`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection)
        var configuration = KafkaProducerConfiguration()
        configuration.linger = .seconds(5)
        let producer = try KafkaProducer(connection, configuration)
        let receipt = try await producer.enqueue(makeBatch(100), to: topic, partition: 0)
        try await producer.close()
        #expect(try await receipt.value.lastOffset == 99)
        #expect(try await readToEnd(connection, [TopicPartition(topic, 0): .beginning]).count == 100)
    }

    @Test func `a record without a reachable broker fails its receipt when the producer closes`() async throws
    {
        let log = ObservationLog()
        let producer = try KafkaProducer(KafkaConnection("127.0.0.1:1"), observe: log.observer)
        let receipt = try await producer.enqueue(makeBatch(5), to: "nowhere", partition: 0)
        // Told by an event of its own, before the receipt fails.
        let deadline = ContinuousClock.now + .seconds(10)
        while log.clientFailures.isEmpty, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(10))
        }
        let closing = try await kafkaError { try await producer.close(timeout: .milliseconds(200)) }
        #expect(closing.code == .timedOut)
        let failed = try await kafkaError { _ = try await receipt.value }
        #expect(failed.code == .withdrawn)
        #expect(log.deliveryFailures.map(\.code) == [.withdrawn])
        #expect(log.clientFailures.contains { $0.code == .unreachable })
    }

    @Test func `a dropped producer fails its open receipts instead of leaving them waiting`() async throws {
        var producer: KafkaProducer? = try KafkaProducer(KafkaConnection("127.0.0.1:1"))
        let receipt = try #require(try await producer?.enqueue(makeBatch(5), to: "nowhere", partition: 0))
        producer = nil
        let failed = try await kafkaError { _ = try await receipt.value }
        #expect(failed.code == .withdrawn)
    }

    @Test func `a closed producer refuses to send`() async throws {
        let producer = try KafkaProducer(KafkaConnection("127.0.0.1:1"))
        try await producer.close()
        let error = try await kafkaError { _ = try await producer.send(makeBatch(1), to: "any") }
        #expect(error.code == .closed)
    }

    @Test func `a record beyond the size limit is refused with the reason`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection)
        let producer = try KafkaProducer(connection)
        let huge = [UInt8](repeating: 7, count: 1_200_000)
        let error = try await kafkaError { _ = try await producer.send(key: nil, value: huge, to: topic) }
        #expect(error.code == .recordTooLarge)
        #expect(!error.isRetriable)
        try await producer.close()
    }

    @Test func `an unknown topic fails and is not created`() async throws {
        var connection = try BrokerTrait.connection
        connection.overrides["topic.metadata.propagation.max.ms"] = "500"
        let topic = uniqueName("missing")
        let producer = try KafkaProducer(connection)
        let error = try await kafkaError {
            _ = try await producer.send(makeBatch(2), to: topic, partition: 0)
        }
        #expect(error.code == .unknownTopic)
        try? await producer.close()
        let admin = try KafkaAdmin(connection)
        #expect(try await admin.partitionCounts(of: [topic]) == [:])
        await admin.close()
    }
}
