import CRdkafka
import KafkaBridge
import TestSupport
import Testing

/// Faults that a healthy broker does not show, from librdkafka's mock cluster.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct FaultTests {
    @Test func `a passing broker error is tried again without the caller`() async throws {
        let cluster = try MockCluster()
        cluster.createTopic("t", partitions: 1)
        cluster.fail(.produce, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, count: 2)
        let producer = try KafkaProducer(cluster.connection)
        let stored = try await producer.send(makeBatch(10), to: "t", partition: 0)
        #expect(stored == BatchAcknowledgement(count: 10, partition: 0, firstOffset: 0, lastOffset: 9))
        try await producer.close()
    }

    @Test func `ends are asked of the leader of the moment`() async throws {
        let cluster = try MockCluster(brokers: 3)
        cluster.createTopic("t", partitions: 1)
        let admin = try KafkaAdmin(cluster.connection)
        let consumer = try KafkaConsumer(cluster.connection)
        for leader in [1, 2, 3, 1] as [Int32] {
            cluster.setLeader(of: "t", leader)
            let ends = try await admin.endOffsets(of: [TopicPartition("t", 0)], timeout: .seconds(5))
            #expect(ends == [TopicPartition("t", 0): 0])
            let marks = try await consumer.watermarks(of: TopicPartition("t", 0), timeout: .seconds(5))
            #expect(marks == Watermarks(low: 0, high: 0))
        }
        await consumer.close()
        await admin.close()
    }

    @Test func `ends are known again soon after a leader is gone, and each question keeps its time-out`()
        async throws
    {
        let cluster = try MockCluster(brokers: 2)
        cluster.createTopic("t", partitions: 1)
        cluster.setLeader(of: "t", 1)
        let admin = try KafkaAdmin(cluster.connection)
        let partition = TopicPartition("t", 0)
        _ = try await admin.endOffsets(of: [partition])
        cluster.stop(1)
        let lost = ContinuousClock.now
        // Nobody leads at first, as until an election is over.
        let error = try await kafkaError {
            _ = try await admin.endOffsets(of: [partition], timeout: .seconds(1))
        }
        #expect(error.isRetriable || error.code == .unknownTopic, "\(error)")
        #expect(ContinuousClock.now - lost < .seconds(5))
        cluster.setLeader(of: "t", 2)
        var ends: [TopicPartition: Int64]?
        while ends == nil, ContinuousClock.now - lost < .seconds(30) {
            ends = try? await admin.endOffsets(of: [partition], timeout: .seconds(1))
        }
        #expect(ends == [partition: 0])
        await admin.close()
    }

    @Test func `a refused user is told as unauthorized and not retriable`() async throws {
        let cluster = try MockCluster()
        cluster.createTopic("t", partitions: 1)
        cluster.fail(.produce, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        let log = ObservationLog()
        let producer = try KafkaProducer(cluster.connection, observe: log.observer)
        let error = try await kafkaError { _ = try await producer.send(makeBatch(3), to: "t", partition: 0) }
        #expect(error.code == .unauthorized)
        #expect(error.name == "TOPIC_AUTHORIZATION_FAILED")
        #expect(!error.isRetriable)
        #expect(log.deliveryFailures == [error])
        try? await producer.close(timeout: .seconds(1))
    }

    @Test func `a producer that is fenced at its start says so`() async throws {
        let cluster = try MockCluster()
        cluster.fail(.initProducerID, RD_KAFKA_RESP_ERR_PRODUCER_FENCED)
        let producer = try KafkaProducer(cluster.connection, KafkaProducerConfiguration(transactionalID: "x"))
        let error = try await kafkaError { try await producer.initTransactions() }
        #expect(error.isFenced, "\(error)")
        #expect(error.isFatal)
        try? await producer.close(timeout: .seconds(1))
    }

    @Test func `a commit of an older generation is told as rebalanced`() async throws {
        let cluster = try MockCluster()
        cluster.createTopic("t", partitions: 1)
        cluster.fail(.offsetCommit, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION)
        let consumer = try KafkaConsumer(cluster.connection, KafkaConsumerConfiguration(group: "g"))
        try await consumer.assign([TopicPartition("t", 0): .offset(0)])
        let error = try await kafkaError { try await consumer.commit([TopicPartition("t", 0): 1]) }
        #expect(error.code == .rebalanced, "\(error)")
        await consumer.close()
    }

    @Test func `a transaction whose end is refused has to be aborted`() async throws {
        let cluster = try MockCluster()
        cluster.createTopic("t", partitions: 1)
        let producer = try KafkaProducer(cluster.connection, KafkaProducerConfiguration(transactionalID: "x"))
        try await producer.initTransactions()
        try await producer.beginTransaction()
        cluster.fail(.produce, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        _ = try await kafkaError { _ = try await producer.send(makeBatch(1), to: "t", partition: 0) }
        let error = try await kafkaError { try await producer.commitTransaction() }
        #expect(error.requiresAbort, "\(error)")
        #expect(!error.isFatal)
        try await producer.abortTransaction()
        try await producer.close()
    }

    @Test func `a wrong setting is told by its name`() async throws {
        let connection = KafkaConnection("127.0.0.1:1", overrides: ["linger.ms": "soon"])
        let error = try await kafkaError { _ = try KafkaProducer(connection) }
        #expect(error.code == .invalidSetting)
        #expect(error.description.contains("linger.ms"))
    }

    @Test func `a password appears in no description, dump or error`() async throws {
        let credentials = KafkaConnection.Credentials(user: "loader", password: "s3cret")
        let connection = KafkaConnection(
            "127.0.0.1:1", security: .saslSSL(credentials, caFile: "/missing/ca.pem"),
            overrides: ["ssl.key.password": "s3cret"])
        var dumped = "\(connection) \(String(reflecting: connection)) \(credentials)"
        dump(connection, to: &dumped)
        dump(credentials, to: &dumped)
        dump(connection.security, to: &dumped)
        dumped += "\(try await kafkaError { _ = try KafkaProducer(connection) })"
        #expect(dumped.contains("loader"))
        #expect(!dumped.contains("s3cret"))
    }
}
