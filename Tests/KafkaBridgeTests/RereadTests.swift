import KafkaBridge
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct RereadTests {
    @Test func `a reader that waited through an aborted transaction gets what is committed afterwards`()
        async throws
    {
        try await withBroker { connection in
            let topic = uniqueName("aborted")
            let admin = try KafkaAdmin(connection)
            try await admin.createTopics([TopicSpecification(topic, partitions: 1)])
            let place = TopicPartition(topic, 0)
            let first = try await producer(connection, topic)
            try await commit(["a", "b"], first, topic)
            let reader = try KafkaConsumer(connection)
            try await reader.assign([place: .beginning])
            #expect(try await read(2, reader) == ["a", "b"])
            // Dies with an open transaction; the next one fences it, which aborts.
            try await first.beginTransaction()
            _ = try await first.send(batch(["lost", "lost"]), to: topic, partition: 0)
            let second = try await producer(connection, topic)
            for round in ["c", "d", "e"] {
                try await commit([round, round + round], second, topic)
                #expect(try await read(2, reader) == [round, round + round])
            }
            // A reader that begins after the abort's marker.
            let late = try KafkaConsumer(connection)
            try await late.assign([place: .offset(6)])
            #expect(try await read(6, late) == ["c", "cc", "d", "dd", "e", "ee"])
            await reader.close()
            await late.close()
            try await second.close()
            // Fenced: closing it may say so.
            try? await first.close()
            await admin.close()
        }
    }

    private func producer(_ connection: KafkaConnection, _ id: String) async throws -> KafkaProducer {
        let producer = try KafkaProducer(connection, KafkaProducerConfiguration(transactionalID: id))
        try await producer.initTransactions()
        return producer
    }

    private func batch(_ values: [String]) -> RecordBatch {
        var batch = RecordBatch()
        for value in values { batch.append(key: [UInt8]?.none, value: Array(value.utf8)) }
        return batch
    }

    private func commit(_ values: [String], _ producer: KafkaProducer, _ topic: String) async throws {
        try await producer.beginTransaction()
        _ = try await producer.send(batch(values), to: topic, partition: 0)
        try await producer.commitTransaction()
    }

    private func read(_ count: Int, _ consumer: KafkaConsumer) async throws -> [String] {
        let deadline = ContinuousClock.now + .seconds(15)
        var values: [String] = []
        while values.count < count, ContinuousClock.now < deadline {
            for record in try await consumer.poll(timeout: .milliseconds(200)) {
                values.append(String(decoding: record.value ?? [], as: UTF8.self))
            }
        }
        return values
    }
}
