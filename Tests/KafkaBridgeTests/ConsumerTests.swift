import KafkaBridge
import TestSupport
import Testing

@Suite(.broker, .serialized, .timeLimit(.minutes(2)))
struct ConsumerTests {
    @Test func `a consumer tells what it received and how far behind it is`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection)
        let producer = try KafkaProducer(connection)
        _ = try await producer.send(makeBatch(10), to: topic, partition: 0)
        try await producer.close()
        let log = ObservationLog()
        var configuration = KafkaConsumerConfiguration()
        configuration.statisticsInterval = .milliseconds(50)
        let consumer = try KafkaConsumer(connection, configuration, observe: log.observer)
        try await consumer.assign([TopicPartition(topic, 0): .beginning])
        let deadline = ContinuousClock.now + .seconds(10)
        var last: KafkaStatistics?
        repeat {
            _ = try await consumer.poll(timeout: .milliseconds(50))
            last = log.statistics.last
        } while last?.lag != [TopicPartition(topic, 0): 0] && ContinuousClock.now < deadline
        #expect(last?.isConsumer == true && last?.receivedRecords == 10)
        #expect(last?.lag == [TopicPartition(topic, 0): 0])
        await consumer.close()
    }

    @Test func `reading begins at the beginning, an offset, a time or the end`() async throws {
        let connection = try BrokerTrait.connection
        // The records are old: a broker that deletes by age must not.
        let topic = try await makeTopic(connection, configuration: ["retention.ms": "-1"])
        let partition = TopicPartition(topic, 0)
        let producer = try KafkaProducer(connection)
        var batch = RecordBatch()
        for number in 0..<10 {
            batch.append(
                key: "k".utf8, value: "v\(number)".utf8,
                timestampMilliseconds: 1_700_000_000_000 + Int64(number))
        }
        _ = try await producer.send(batch, to: partition.topic, partition: 0)
        let all = (0..<10).map { "v\($0)" }
        #expect(try await readToEnd(connection, [partition: .beginning]) == all)
        #expect(try await readToEnd(connection, [partition: .offset(7)]) == ["v7", "v8", "v9"])
        #expect(
            try await readToEnd(connection, [partition: .time(milliseconds: 1_700_000_000_008)]) == [
                "v8", "v9",
            ])
        #expect(try await readToEnd(connection, [partition: .time(milliseconds: 1_800_000_000_000)]) == [])

        let consumer = try KafkaConsumer(connection)
        try await consumer.assign([partition: .end])
        let quiet = try await consumer.poll(timeout: .seconds(10))
        #expect(quiet.events == [.endReached(partition, offset: 10)])
        _ = try await producer.send(makeBatch(1, prefix: "late"), to: partition.topic, partition: 0)
        #expect(try await readValues(consumer, 1) == ["late-0"])
        await consumer.close()
        try await producer.close()
    }

    @Test func `the end of a partition is told with its offset`() async throws {
        let connection = try BrokerTrait.connection
        let partition = TopicPartition(try await makeTopic(connection), 0)
        let producer = try KafkaProducer(connection)
        _ = try await producer.send(makeBatch(4), to: partition.topic, partition: 0)
        try await producer.close()
        let consumer = try KafkaConsumer(connection)
        try await consumer.assign([partition: .beginning])
        var ends: [ConsumerEvent] = []
        while ends.isEmpty { ends += try await consumer.poll(timeout: .seconds(5)).events }
        #expect(ends == [.endReached(partition, offset: 4)])
        let position = try await consumer.position([partition])
        #expect(position == [partition: 4])
        await consumer.close()
    }

    @Test func `a partition that was paused at its end gives what comes then`() async throws {
        let connection = try BrokerTrait.connection
        let partition = TopicPartition(try await makeTopic(connection), 0)
        let producer = try KafkaProducer(connection)
        _ = try await producer.send(makeBatch(4), to: partition.topic, partition: 0)
        let consumer = try KafkaConsumer(connection)
        try await consumer.assign([partition: .beginning])
        while try await consumer.poll(timeout: .seconds(5)).events.isEmpty {}
        try await consumer.pause([partition])
        _ = try await producer.send(makeBatch(2, prefix: "late"), to: partition.topic, partition: 0)
        try await consumer.resume([partition])
        #expect(try await readValues(consumer, 2) == ["late-0", "late-1"])
        await consumer.close()
        try await producer.close()
    }

    @Test func `a poll gives at most as many records as asked and keeps the rest`() async throws {
        let connection = try BrokerTrait.connection
        let partition = TopicPartition(try await makeTopic(connection), 0)
        let producer = try KafkaProducer(connection)
        _ = try await producer.send(makeBatch(25), to: partition.topic, partition: 0)
        try await producer.close()
        let consumer = try KafkaConsumer(connection)
        try await consumer.assign([partition: .beginning])
        var sizes: [Int] = []
        var numbers: [Int64?] = []
        while numbers.count < 25 {
            let records = try await consumer.poll(recordsMax: 10, timeout: .seconds(5))
            sizes.append(records.count)
            numbers += records.map { $0.integerHeader("sf-seq") }
        }
        #expect(sizes.allSatisfy { $0 <= 10 })
        #expect(numbers == (0..<25).map { Int64($0) })
        await consumer.close()
    }

    @Test func `a position outside the partition is reported when the reset policy is to fail`() async throws
    {
        let connection = try BrokerTrait.connection
        let partition = TopicPartition(try await makeTopic(connection), 0)
        var configuration = KafkaConsumerConfiguration()
        configuration.offsetReset = .fail
        let consumer = try KafkaConsumer(connection, configuration)
        try await consumer.assign([partition: .offset(1_000)])
        var events: [ConsumerEvent] = []
        while events.isEmpty { events += try await consumer.poll(timeout: .seconds(5)).events }
        guard case .partitionFailed(partition, let error) = events[0] else {
            return #expect(Bool(false), "unexpected \(events)")
        }
        #expect(error.code == .offsetOutOfRange)
        await consumer.close()
    }

    @Test func `a paused partition gives nothing until it is resumed`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection, partitions: 2)
        let (held, flowing) = (TopicPartition(topic, 0), TopicPartition(topic, 1))
        let consumer = try KafkaConsumer(connection)
        try await consumer.assign([held: .beginning, flowing: .beginning])
        try await consumer.pause([held])
        let producer = try KafkaProducer(connection)
        _ = try await producer.send(makeBatch(5, prefix: "held"), to: topic, partition: 0)
        _ = try await producer.send(makeBatch(5, prefix: "flowing"), to: topic, partition: 1)
        #expect(try await readValues(consumer, 5).allSatisfy { $0.hasPrefix("flowing") })
        // Long enough for a fetch that was not paused to come back.
        let more = try await consumer.poll(timeout: .seconds(1))
        #expect(more.isEmpty)
        try await consumer.resume([held])
        #expect(try await readValues(consumer, 5) == (0..<5).map { "held-\($0)" })
        await consumer.close()
        try await producer.close()
    }

    @Test func `a commit is read back and reading goes on from it`() async throws {
        let connection = try BrokerTrait.connection
        let partition = TopicPartition(try await makeTopic(connection), 0)
        let producer = try KafkaProducer(connection)
        _ = try await producer.send(makeBatch(10), to: partition.topic, partition: 0)
        try await producer.close()
        let configuration = KafkaConsumerConfiguration(group: uniqueName("sf-group"))
        let consumer = try KafkaConsumer(connection, configuration)
        #expect(try await consumer.committed([partition]) == [partition: nil])
        try await consumer.assign([partition: .committed])
        #expect(try await readValues(consumer, 10).count == 10)
        try await consumer.commit([partition: 6])
        #expect(try await consumer.committed([partition]) == [partition: 6])
        await consumer.close()

        let next = try KafkaConsumer(connection, configuration)
        try await next.assign([partition: .committed])
        #expect(try await readValues(next, 4) == (6..<10).map { "record-\($0)" })
        await next.close()
    }

    @Test func `a consumer without a group cannot commit`() async throws {
        let consumer = try KafkaConsumer(KafkaConnection("127.0.0.1:1"))
        let error = try await kafkaError { try await consumer.commit([TopicPartition("t", 0): 1]) }
        #expect(error.code == .invalidState)
        await consumer.close()
    }

    @Test func `a waiting poll ends when its task is cancelled`() async throws {
        let connection = try BrokerTrait.connection
        let consumer = try KafkaConsumer(connection)
        let error = try await withThrowingTaskGroup(of: KafkaError.self) { group in
            group.addTask { try await kafkaError { _ = try await consumer.poll(timeout: .seconds(60)) } }
            group.cancelAll()
            return try #require(try await group.next())
        }
        #expect(error.code == .cancelled)
        await consumer.close()
    }

    @Test func `a waiting poll ends when the consumer is closed`() async throws {
        let consumer = try KafkaConsumer(try BrokerTrait.connection)
        async let failure = kafkaError { _ = try await consumer.poll(timeout: .seconds(60)) }
        await Task.yield()
        await consumer.close()
        #expect(try await failure.code == .closed)
    }

    @Test func `records outlive their closed consumer`() async throws {
        let connection = try BrokerTrait.connection
        let partition = TopicPartition(try await makeTopic(connection), 0)
        let producer = try KafkaProducer(connection)
        _ = try await producer.send(makeBatch(1), to: partition.topic, partition: 0)
        try await producer.close()
        let consumer = try KafkaConsumer(connection)
        try await consumer.assign([partition: .beginning])
        var records = try await consumer.poll(timeout: .seconds(10))
        while records.isEmpty { records = try await consumer.poll(timeout: .seconds(10)) }
        await consumer.close(timeout: .milliseconds(100))
        #expect(records.first?.value == Array("record-0".utf8))
    }
}
