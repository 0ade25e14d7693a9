import DocumentStores
import PostgresBridge
import TestSupport
import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(3)))
struct QueueProjectionTests {
    @Test func `becomes equal to the queues, whatever happens and wherever it is killed`() async throws {
        try await withPostgres { pool in
            let stage = try await ProjectionStage(pool)
            var random = SystemRandomNumberGenerator()
            var ids: [QueueID] = []
            for index in 0..<150 { ids.append(try await stage.engine.createQueue("q\(10_000 + index)")) }
            for round in 0..<6 {
                for _ in 0..<40 {
                    let id = try #require(ids.randomElement(using: &random))
                    let action = try #require(QueueRequest.allCases.randomElement(using: &random))
                    _ = try await stage.engine.store.request(action, of: id, actor: "test")
                }
                if round == 3 { try await stage.projection.store.requestRebuild(of: "queues") }
                // Killed in the middle: after some step, or with the documents written and the position not
                // moved.
                stage.store.failures.value = 0
                let stepCount = Int.random(in: 0...3, using: &random)
                for _ in 0..<stepCount { _ = try await stage.projection.step() }
                stage.store.failures.value = Int.random(in: 0...1, using: &random)
                do {
                    try await stage.projection.round()
                } catch let error as StoreError {
                    #expect(error.code == .unavailable)
                }
            }
            stage.store.failures.value = 0
            try await stage.expectEqual()

            // Somebody spoils it; a rebuild makes it right.
            try await pool.execute("DELETE FROM documents.queues WHERE _key LIKE '%5'")
            try await pool.execute(
                "UPDATE documents.queues SET document = '{\"_key\":\"x\"}' WHERE _key LIKE '%7'")
            try await stage.projection.store.requestRebuild(of: "queues")
            try await stage.expectEqual()
        }
    }

    @Test func `a queue that retention deleted goes from the projection too`() async throws {
        try await withPostgres { pool in
            let stage = try await ProjectionStage(pool)
            let old = try await stage.engine.createQueue("old111")
            _ = try await stage.engine.createQueue("new111")
            try await stage.expectEqual()
            try await pool.execute(
                """
                UPDATE streamforge.queues SET status = 'finished', is_cleaned = true,
                finished_at = now() - interval '100 days' WHERE queue_id = \(old.rawValue)
                """)
            let policy = RetentionPolicy(historyKeepDays: nil, queuesKeepDays: 90, archiveDirectory: nil)
            try await RetentionJob(pool: pool, policy: policy, observe: .silent, sleep: { _ in }).round()
            #expect(try await stage.engine.store.queue(old) == nil)
            try await stage.expectEqual()
            #expect(try await stage.documents().keys.sorted() == ["wf-test-new111"])
            #expect(try await stage.projection.store.removed(limit: 10).isEmpty)
        }
    }
}

/// The projection over a real database and document store.
private struct ProjectionStage: Sendable {
    let engine: EngineFixture
    let pool: PostgresPool
    let store: FailingStore
    let projection: QueueProjection

    init(_ pool: PostgresPool) async throws {
        self.pool = pool
        engine = try await EngineFixture(pool)
        store = FailingStore(
            try await PostgreSQLDocumentStore.open(pool.configuration.currentURL(), connectionsMax: 2))
        projection = QueueProjection(
            pool: pool, documents: store, collection: try #require(CollectionName("queues")), observe: .silent
        )
    }

    func documents() async throws -> [String: JSONValue] {
        let rows = try await pool.execute("SELECT _key, document::text FROM documents.queues")
        return Dictionary(
            uniqueKeysWithValues: try rows.map {
                (
                    try $0[0, as: String.self],
                    try MessageCodec.decode(JSONValue.self, fromText: $0[1, as: String.self])
                )
            })
    }

    /// Other tests on the same server may hold the feed back for a moment.
    func expectEqual() async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        var wanted: [String: JSONValue] = [:]
        var found: [String: JSONValue] = [:]
        repeat {
            try await projection.round()
            wanted = [:]
            for id in try await projection.store.queueIDs(after: "", limit: 1_000) {
                let (queue, instances) = try #require(try await engine.store.queue(id))
                let json = try QueueDocument.json(queue, instances)
                wanted[id.rawValue] = try MessageCodec.decode(JSONValue.self, from: json)
            }
            found = try await documents()
        } while wanted != found && ContinuousClock.now < deadline
        #expect(wanted == found)
    }
}

/// Writes the documents and then says that it was away, so many times.
private final class FailingStore: DocumentStore {
    let failures = Mutable(0)
    private let store: any DocumentStore

    init(_ store: any DocumentStore) {
        self.store = store
    }

    func write(
        _ batch: DocumentBatch, to collection: CollectionName, mode: WriteMode, advance: StreamAdvance?,
        refused: @Sendable ([RefusedDocument]) async throws -> Void
    ) async throws(StoreError) -> WriteOutcome {
        let outcome = try await store.write(
            batch, to: collection, mode: mode, advance: advance, refused: refused)
        guard failures.value == 0 else {
            failures.value -= 1
            throw StoreError(.unavailable, operation: "write", detail: "the answer was lost")
        }
        return outcome
    }

    func ensureCollection(_ name: CollectionName, indexes: [DocumentIndex]) async throws(StoreError) {
        try await store.ensureCollection(name, indexes: indexes)
    }
    func claim(_ stream: StreamName, attempt: Int) async throws(StoreError) -> StreamProgress {
        try await store.claim(stream, attempt: attempt)
    }
    func remove(_ keys: [String], from collection: CollectionName) async throws(StoreError) {
        try await store.remove(keys, from: collection)
    }
    func count(in collection: CollectionName, range: KeyRange) async throws(StoreError) -> Int64 {
        try await store.count(in: collection, range: range)
    }
    func scan(
        _ collection: CollectionName, range: KeyRange, pageDocumentsMax: Int,
        body: ([[UInt8]]) async throws -> Void
    ) async throws {
        try await store.scan(collection, range: range, pageDocumentsMax: pageDocumentsMax, body: body)
    }
    func dropCollection(_ name: CollectionName) async throws(StoreError) {
        try await store.dropCollection(name)
    }
    func ping(timeout: Duration) async throws(StoreError) { try await store.ping(timeout: timeout) }
    func close() async { await store.close() }
}
