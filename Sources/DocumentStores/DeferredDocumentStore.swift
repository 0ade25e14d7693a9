import Workflow

/// A store that is opened at its first use: a program that seldom needs it starts also while it is away.
package actor DeferredDocumentStore: DocumentStore {
    private let open: @Sendable () async throws(StoreError) -> any DocumentStore
    private var store: (any DocumentStore)?
    private var isClosed = false

    package init(open: @escaping @Sendable () async throws(StoreError) -> any DocumentStore) {
        self.open = open
    }

    /// Of two first uses at once one store is closed again.
    private func opened(_ operation: String) async throws(StoreError) -> any DocumentStore {
        if let store { return store }
        let closed = StoreError(.unavailable, operation: operation, detail: "the store was closed")
        if isClosed { throw closed }
        let new = try await open()
        if isClosed {
            await new.close()
            throw closed
        }
        if let store {
            await new.close()
            return store
        }
        store = new
        return new
    }

    package func ensureCollection(_ name: CollectionName, indexes: [DocumentIndex]) async throws(StoreError) {
        try await opened("create collection \(name)").ensureCollection(name, indexes: indexes)
    }

    package func claim(_ stream: StreamName, attempt: Int) async throws(StoreError) -> StreamProgress {
        try await opened("claim stream \(stream.rawValue)").claim(stream, attempt: attempt)
    }

    package func write(
        _ batch: DocumentBatch, to collection: CollectionName, mode: WriteMode, advance: StreamAdvance?,
        refused: @Sendable ([RefusedDocument]) async throws -> Void
    ) async throws(StoreError) -> WriteOutcome {
        try await opened("write into \(collection)")
            .write(batch, to: collection, mode: mode, advance: advance, refused: refused)
    }

    package func remove(_ keys: [String], from collection: CollectionName) async throws(StoreError) {
        try await opened("remove from \(collection)").remove(keys, from: collection)
    }

    package func count(in collection: CollectionName, range: KeyRange) async throws(StoreError) -> Int64 {
        try await opened("count in \(collection)").count(in: collection, range: range)
    }

    nonisolated package func scan(
        _ collection: CollectionName, range: KeyRange, pageDocumentsMax: Int,
        body: ([[UInt8]]) async throws -> Void
    ) async throws {
        try await opened("scan \(collection)")
            .scan(collection, range: range, pageDocumentsMax: pageDocumentsMax, body: body)
    }

    package func dropCollection(_ name: CollectionName) async throws(StoreError) {
        try await opened("drop collection \(name)").dropCollection(name)
    }

    package func ping(timeout: Duration) async throws(StoreError) {
        try await opened("ping").ping(timeout: timeout)
    }

    package func close() async {
        isClosed = true
        await store?.close()
        store = nil
    }
}
