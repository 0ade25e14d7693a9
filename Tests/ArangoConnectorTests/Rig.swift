import ArangoConnector
import DocumentStores
import KafkaBridge
import MarketData
import PostgresBridge
import Synchronization
import TestSupport
import Testing
import Workflow

/// A data topic on a real broker and a collection in a real PostgreSQL, with what a test needs to fill the one
/// and look into the other.
struct Rig: Sendable {
    let kafka: KafkaConnection
    let pool: PostgresPool
    let store: PostgreSQLDocumentStore
    let admin: KafkaAdmin
    let topic: String
    let collection: CollectionName
    let symbol: Symbol

    var partition: TopicPartition { TopicPartition(topic, 0) }
    var deadTopic: String { DerivedName.deadLetterTopic(dataTopic: topic) }
    var group: String { "sf-\(topic)" }
    var stream: StreamName { StreamName(topic: topic, partition: 0) }

    /// Sends each batch in a transaction of its own, so that markers lie between them.
    func fill(_ batches: [RecordBatch]) async throws {
        let producer = try KafkaProducer(kafka, .init(transactionalID: uniqueName("loader")))
        try await producer.initTransactions()
        for batch in batches {
            try await producer.beginTransaction()
            _ = try await producer.send(batch, to: topic, partition: 0)
            try await producer.commitTransaction()
        }
        try await producer.close()
    }

    /// Sends candles 1 to `count` in transactions of `size`, and the end marker.
    func fill(candles count: Int64, size: Int64 = 500, marker: EndMarker? = nil) async throws {
        var batches = stride(from: 1, through: count, by: Int64.Stride(size)).map {
            Candles.batch($0...min($0 + size - 1, count))
        }
        var last = RecordBatch()
        try Candles.appendMarker(marker ?? Candles.marker(count: count), to: &last)
        batches.append(last)
        try await fill(batches)
    }

    /// Sends records in a transaction that is aborted.
    func abort(_ batch: RecordBatch) async throws {
        let producer = try KafkaProducer(kafka, .init(transactionalID: uniqueName("loader")))
        try await producer.initTransactions()
        try await producer.beginTransaction()
        _ = try await producer.send(batch, to: topic, partition: 0)
        try await producer.abortTransaction()
        try await producer.close()
    }

    var limits: ConnectorLimits {
        var limits = ConnectorLimits()
        limits.batchRecordsMax = 400
        limits.batchWait = .milliseconds(20)
        limits.confirmWait = .milliseconds(300)
        return limits
    }

    /// Runs one attempt; what it leaves undone is left as a killed process would.
    func run(
        attempt: Int = 1, store other: (any DocumentStore)? = nil, limits: ConnectorLimits? = nil,
        hooks: ConnectorHooks = ConnectorHooks()
    ) async throws -> ConnectorOutcome {
        let consumer = try KafkaConsumer(kafka, ConnectorParts.consumerConfiguration(group: group))
        let producer = try KafkaProducer(kafka)
        let parts = ConnectorParts(
            consumer: consumer, producer: producer, store: other ?? store)
        let stream = ConnectorStream(
            partition: partition, attempt: attempt, collection: collection, symbol: symbol,
            interval: Candles.interval)
        let outcome = await StreamConnector(
            stream, parts: parts, limits: limits ?? self.limits, hooks: hooks
        ).run()
        await consumer.close()
        try await producer.close()
        return outcome
    }

    /// The `_key` of every document, in order.
    func keys() async throws -> [String] {
        let found = Mutex<[String]>([])
        let range = KeyRange(first: "!", last: "~", symbol: symbol.rawValue, interval: nil)
        try await store.scan(collection, range: range, pageDocumentsMax: 1_000) { page in
            for json in page {
                let key = try MessageCodec.decode(KeyOnly.self, from: json)._key
                found.withLock { $0.append(key) }
            }
        }
        return found.withLock { $0 }
    }

    private struct KeyOnly: Decodable { var _key: String }

    func expectedKeys(_ count: Int64, without missing: Set<Int64> = []) -> [String] {
        (1...max(count, 1)).filter { $0 <= count && !missing.contains($0) }.map(Candles.key)
    }

    /// Everything on the dead-letter topic: key, value, reason.
    func deadLetters() async throws -> [(key: String, value: String, reason: String, number: String)] {
        let consumer = try KafkaConsumer(kafka)
        try await consumer.assign([TopicPartition(deadTopic, 0): .beginning])
        var letters: [(String, String, String, String)] = []
        reading: while true {
            let records = try await consumer.poll(timeout: .seconds(5))
            func text(_ bytes: [UInt8]?) -> String { String(decoding: bytes ?? [], as: UTF8.self) }
            for record in records {
                letters.append(
                    (
                        text(record.key), text(record.value), text(record.header(RecordHeader.reason)),
                        text(record.header(RecordHeader.sequence))
                    ))
            }
            for case .endReached in records.events { break reading }
        }
        await consumer.close()
        return letters
    }
}

func withRig<R: Sendable>(_ body: (Rig) async throws -> R) async throws -> R {
    try await withBroker { kafka in
        try await withPostgres { pool in
            let store = PostgreSQLDocumentStore(pool: pool)
            try await store.prepare()
            let topic = uniqueName("wf-data")
            let admin = try KafkaAdmin(kafka)
            try await admin.createTopics([
                TopicSpecification(topic, partitions: 1),
                TopicSpecification(DerivedName.deadLetterTopic(dataTopic: topic), partitions: 1),
            ])
            let rig = Rig(
                kafka: kafka, pool: pool, store: store, admin: admin, topic: topic,
                collection: try #require(CollectionName("btcusdt_candles")),
                symbol: try #require(Candles.symbol))
            let result = try await body(rig)
            await admin.close()
            return result
        }
    }
}

extension ConnectorOutcome {
    var finished: (counts: InstanceCounts, extra: [String: JSONValue])? {
        if case .finished(let counts, let extra) = self { (counts, extra) } else { nil }
    }
    var failure: ConnectorError? {
        if case .failed(_, let error) = self { error } else { nil }
    }
}
