import Synchronization
import Workflow

/// A store that passes everything on to a real one and lets a test act before and after each write.
final class FaultyStore: DocumentStore {
    typealias Act = @Sendable (_ write: Int) async throws(StoreError) -> Void

    private let store: any DocumentStore
    private let beforeWrite: Act
    private let afterWrite: Act
    private let count = Mutex(0)

    init(
        _ store: any DocumentStore, beforeWrite: @escaping Act = { _ throws(StoreError) in },
        afterWrite: @escaping Act = { _ throws(StoreError) in }
    ) {
        self.store = store
        self.beforeWrite = beforeWrite
        self.afterWrite = afterWrite
    }

    var writes: Int { count.withLock { $0 } }

    func write(
        _ batch: DocumentBatch, to collection: CollectionName, mode: WriteMode, advance: StreamAdvance?,
        refused: @Sendable ([RefusedDocument]) async throws -> Void
    ) async throws(StoreError) -> WriteOutcome {
        let number = count.withLock { count in
            count += 1
            return count
        }
        try await beforeWrite(number)
        let outcome = try await store.write(
            batch, to: collection, mode: mode, advance: advance, refused: refused)
        try await afterWrite(number)
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
