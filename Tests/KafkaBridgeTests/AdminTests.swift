import KafkaBridge
import TestSupport
import Testing

@Suite(.broker, .serialized, .timeLimit(.minutes(2)))
struct AdminTests {
    @Test func `topics are created, listed, described and deleted`() async throws {
        let connection = try BrokerTrait.connection
        let admin = try KafkaAdmin(connection)
        let names = [uniqueName("a"), uniqueName("b")]
        try await admin.createTopics([
            TopicSpecification(names[0], partitions: 3, replication: 1),
            TopicSpecification(names[1], partitions: 1, configuration: ["retention.ms": "-1"]),
        ])
        #expect(try await admin.partitionCounts(of: names) == [names[0]: 3, names[1]: 1])
        #expect(try await admin.partitionCounts()[names[0]] == 3)
        try await admin.deleteTopics(names)
        #expect(try await admin.partitionCounts(of: names) == [:])
        await admin.close()
    }

    @Test func `creating a topic again is fine or an error, as asked`() async throws {
        let admin = try KafkaAdmin(try BrokerTrait.connection)
        let topic = TopicSpecification(uniqueName("twice"), partitions: 1)
        try await admin.createTopics([topic])
        try await admin.createTopics([topic])
        let error = try await kafkaError { try await admin.createTopics([topic], existingIsFine: false) }
        #expect(error.code == .topicExists)
        #expect(error.description.contains(topic.name))
        await admin.close()
    }

    @Test func `a topic that is just being made is waited for by who needs it`() async throws {
        let connection = try BrokerTrait.connection
        let maker = try KafkaAdmin(connection)
        let admin = try KafkaAdmin(connection)
        let topic = uniqueName("made")
        let partition = TopicPartition(topic, 0)
        let error = try await kafkaError {
            _ = try await admin.watermarks(of: partition, timeout: .seconds(2))
        }
        #expect(error.code == .unknownTopic && !error.isRetriable, "\(error)")
        // Who knows that it is made is told that it may come.
        let early = try await kafkaError {
            _ = try await admin.watermarks(of: partition, isMade: true, timeout: .milliseconds(300))
        }
        #expect(early.isRetriable, "\(early)")
        async let marks = admin.watermarks(of: partition, isMade: true, timeout: .seconds(30))
        try await maker.createTopics([TopicSpecification(topic, partitions: 1)])
        #expect(try await marks == Watermarks(low: 0, high: 0))
        await maker.close()
        await admin.close()
    }

    @Test func `deleting a missing topic is fine or an error, as asked`() async throws {
        let admin = try KafkaAdmin(try BrokerTrait.connection)
        let name = uniqueName("missing")
        try await admin.deleteTopics([name])
        let error = try await kafkaError { try await admin.deleteTopics([name], missingIsFine: false) }
        #expect(error.code == .unknownTopic)
        await admin.close()
    }

    @Test func `lag is what a group has not committed yet`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection, partitions: 2)
        let (left, right) = (TopicPartition(topic, 0), TopicPartition(topic, 1))
        let producer = try KafkaProducer(connection)
        _ = try await producer.send(makeBatch(10), to: topic, partition: 0)
        _ = try await producer.send(makeBatch(4), to: topic, partition: 1)
        try await producer.close()
        let group = uniqueName("sf-lag")
        let consumer = try KafkaConsumer(connection, KafkaConsumerConfiguration(group: group))
        try await consumer.assign([left: .beginning, right: .beginning])
        try await consumer.commit([left: 7])
        let admin = try KafkaAdmin(connection)
        #expect(try await admin.committedOffsets(of: group, [left, right]) == [left: 7, right: nil])
        #expect(try await admin.lag(of: group, topic: topic) == [left: 3, right: 4])
        await consumer.close()
        await admin.close()
    }

    @Test func `offsets are found by time`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection, configuration: ["retention.ms": "-1"])
        let partition = TopicPartition(topic, 0)
        let producer = try KafkaProducer(connection)
        // One record a batch: a broker may index times by batch only.
        for number in 0..<5 {
            var batch = RecordBatch()
            batch.append(
                key: "k".utf8, value: "v".utf8,
                timestampMilliseconds: 1_700_000_000_000 + Int64(number) * 1_000)
            _ = try await producer.send(batch, to: topic, partition: 0)
        }
        try await producer.close()
        let admin = try KafkaAdmin(connection)
        #expect(try await admin.offsets(forTimes: [partition: 1_700_000_001_001]) == [partition: 2])
        #expect(try await admin.offsets(forTimes: [partition: 1_800_000_000_000]) == [partition: nil])
        await admin.close()
    }

    /// The hashes of `org.apache.kafka.common.utils.UtilsTest.testMurmur2`.
    @Test(
        arguments: [
            ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829), ("abc", 479_470_107),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ] as [(String, Int32)])
    func `a key goes to the partition that Java's producer chooses`(key: String, hash: Int32) async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection, partitions: 7)
        let producer = try KafkaProducer(connection)
        let stored = try await producer.send(key: Array(key.utf8), value: [], to: topic)
        #expect(stored.partition == (hash & 0x7fff_ffff) % 7)
        try await producer.close()
    }

    @Test func `a batch sent by key may go to several partitions`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection, partitions: 4)
        let producer = try KafkaProducer(connection)
        let stored = try await producer.send(makeBatch(100), to: topic)
        #expect(stored.count == 100)
        #expect(stored.partition == nil)
        let positions = (0..<4).map { (TopicPartition(topic, $0), KafkaPosition.beginning) }
        let values = try await readToEnd(connection, Dictionary(uniqueKeysWithValues: positions))
        #expect(Set(values) == Set((0..<100).map { "record-\($0)" }))
        try await producer.close()
    }
}
