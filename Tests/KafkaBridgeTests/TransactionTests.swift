import KafkaBridge
import TestSupport
import Testing

@Suite(.broker, .serialized, .timeLimit(.minutes(2)))
struct TransactionTests {
    private func producer(_ connection: KafkaConnection, _ id: String) async throws -> KafkaProducer {
        let producer = try KafkaProducer(connection, KafkaProducerConfiguration(transactionalID: id))
        try await producer.initTransactions()
        return producer
    }

    @Test func `committed records are read and aborted ones are not`() async throws {
        let connection = try BrokerTrait.connection
        let partition = TopicPartition(try await makeTopic(connection), 0)
        let producer = try await producer(connection, uniqueName("tx"))
        try await producer.beginTransaction()
        _ = try await producer.send(makeBatch(3, prefix: "kept"), to: partition.topic, partition: 0)
        try await producer.commitTransaction()
        try await producer.beginTransaction()
        _ = try await producer.send(makeBatch(3, prefix: "dropped"), to: partition.topic, partition: 0)
        try await producer.abortTransaction()
        try await producer.beginTransaction()
        _ = try await producer.send(makeBatch(2, prefix: "last"), to: partition.topic, partition: 0)
        try await producer.commitTransaction()
        try await producer.close()
        let kept = (0..<3).map { "kept-\($0)" } + (0..<2).map { "last-\($0)" }
        #expect(try await readToEnd(connection, [partition: .beginning]) == kept)
        let everything = try await readToEnd(connection, [partition: .beginning], isolation: .readUncommitted)
        #expect(everything.count == 8)
    }

    @Test func `an open transaction holds back the last stable offset`() async throws {
        let connection = try BrokerTrait.connection
        let partition = TopicPartition(try await makeTopic(connection), 0)
        let producer = try await producer(connection, uniqueName("tx"))
        try await producer.beginTransaction()
        _ = try await producer.send(makeBatch(5), to: partition.topic, partition: 0)
        let admin = try KafkaAdmin(connection)
        #expect(try await admin.watermarks(of: partition) == Watermarks(low: 0, high: 5))
        #expect(try await admin.watermarks(of: partition, isolation: .readCommitted).high == 0)
        try await producer.commitTransaction()
        // The transaction's marker takes an offset.
        #expect(try await admin.watermarks(of: partition, isolation: .readCommitted).high == 6)
        await admin.close()
        try await producer.close()
    }

    @Test func `a newer producer of the same id fences the older one`() async throws {
        let connection = try BrokerTrait.connection
        let partition = TopicPartition(try await makeTopic(connection), 0)
        let id = uniqueName("tx")
        let older = try await producer(connection, id)
        try await older.beginTransaction()
        _ = try await older.send(makeBatch(3, prefix: "older"), to: partition.topic, partition: 0)
        let newer = try await producer(connection, id)
        try await newer.beginTransaction()
        _ = try await newer.send(makeBatch(2, prefix: "newer"), to: partition.topic, partition: 0)
        try await newer.commitTransaction()
        let error = try await kafkaError { try await older.commitTransaction() }
        #expect(error.isFenced)
        #expect(error.isFatal)
        #expect(!error.isRetriable)
        try? await older.close(timeout: .seconds(1))
        try await newer.close()
        #expect(try await readToEnd(connection, [partition: .beginning]) == ["newer-0", "newer-1"])
    }

    @Test func `sending by a fenced producer says that it is fenced`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection)
        let id = uniqueName("tx")
        let older = try await producer(connection, id)
        let newer = try await producer(connection, id)
        try await older.beginTransaction()
        let error = try await kafkaError {
            _ = try await older.send(makeBatch(3), to: topic, partition: 0)
        }
        #expect(error.isFenced, "\(error)")
        try? await older.close(timeout: .seconds(1))
        try await newer.close()
    }

    @Test func `a batch is sent again after its transaction was aborted`() async throws {
        let connection = try BrokerTrait.connection
        let partition = TopicPartition(try await makeTopic(connection), 0)
        let producer = try await producer(connection, uniqueName("tx"))
        let batch = makeBatch(4)
        try await producer.beginTransaction()
        _ = try await producer.send(batch, to: partition.topic, partition: 0)
        try await producer.abortTransaction()
        try await producer.beginTransaction()
        _ = try await producer.send(batch, to: partition.topic, partition: 0)
        try await producer.commitTransaction()
        try await producer.close()
        #expect(try await readToEnd(connection, [partition: .beginning]) == (0..<4).map { "record-\($0)" })
    }

    @Test func `sending outside a transaction is a mistake of the caller`() async throws {
        let connection = try BrokerTrait.connection
        let topic = try await makeTopic(connection)
        let producer = try await producer(connection, uniqueName("tx"))
        let error = try await kafkaError { _ = try await producer.send(makeBatch(1), to: topic) }
        #expect(error.code == .invalidState)
        try await producer.close()
    }

    @Test func `initialising without a broker ends at its time limit`() async throws {
        let producer = try KafkaProducer(
            KafkaConnection("127.0.0.1:1"), KafkaProducerConfiguration(transactionalID: "sf-none"))
        let error = try await kafkaError { try await producer.initTransactions(timeout: .milliseconds(300)) }
        #expect(error.code == .timedOut)
        #expect(error.isRetriable)
        try? await producer.close(timeout: .milliseconds(100))
    }
}
