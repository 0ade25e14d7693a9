import HTTPBridge
import Workflow

/// Documents in ArangoDB, over its HTTP interface (written for server 3.12).
///
/// Documents go in by bulk import with `waitForSync`; a stream's progress is a document of its own that moves
/// by compare-and-set after the import. A batch whose confirmation is lost is imported again: its documents
/// then count as existing, so `created` may be too low, never too high.
package struct ArangoDBDocumentStore: DocumentStore {
    let connection: ArangoDBConnection
    private let streams: ArangoDBStreams

    package init(_ settings: ArangoDBSettings) {
        connection = ArangoDBConnection(settings)
        streams = ArangoDBStreams(connection: connection, schema: ArangoDBSchema(connection: connection))
    }

    package func ensureCollection(
        _ name: CollectionName, indexes: [DocumentIndex]
    ) async throws(StoreError) {
        try await streams.schema.ensureCollection(name.rawValue, indexes: indexes)
    }

    package func claim(_ stream: StreamName, attempt: Int) async throws(StoreError) -> StreamProgress {
        try await streams.claim(stream, attempt: attempt)
    }

    package func write(
        _ batch: DocumentBatch, to collection: CollectionName, mode: WriteMode, advance: StreamAdvance?,
        refused: @Sendable ([RefusedDocument]) async throws -> Void
    ) async throws(StoreError) -> WriteOutcome {
        // Looked at first, so that an attempt that was replaced writes nothing more.
        let position: ArangoDBStreams.Position? =
            if let advance { try await streams.check(advance) } else { nil }
        let importer = ArangoDBImporter(connection: connection, collection: collection, mode: mode)
        var outcome = try await importer.write(batch)
        if !outcome.refused.isEmpty {
            do {
                try await refused(outcome.refused)
            } catch let error as StoreError {
                throw error
            } catch {
                throw StoreError(
                    .unavailable, operation: "hand over \(outcome.refused.count) refused documents",
                    detail: "\(error)")
            }
        }
        guard let advance, let position else { return outcome }
        var next = advance.from
        next.nextOffset = advance.nextOffset
        next.lastSequence = advance.lastSequence
        next.recordsWritten += Int64(outcome.created)
        next.duplicates += Int64(outcome.existing)
        next.deadLetters += advance.deadLetters + Int64(outcome.refused.count)
        try await streams.move(advance.stream, from: position, to: next)
        outcome.progress = next
        return outcome
    }

    package func remove(_ keys: [String], from collection: CollectionName) async throws(StoreError) {
        for key in keys {
            let path = "/_api/document/\(percentEncoded(collection.rawValue))/\(percentEncoded(key))"
            let call = ArangoDBCall(.delete, path, operation: "remove from \(collection)")
                .query("waitForSync", "true")
            _ = try await connection.send(call, accepting: [ArangoDBAnswer.ErrorNumber.documentNotFound])
        }
    }

    package func count(in collection: CollectionName, range: KeyRange) async throws(StoreError) -> Int64 {
        try await ArangoDBQueries(connection: connection, collection: collection).count(range)
    }

    package func scan(
        _ collection: CollectionName, range: KeyRange, pageDocumentsMax: Int,
        body: ([[UInt8]]) async throws -> Void
    ) async throws {
        let queries = ArangoDBQueries(connection: connection, collection: collection)
        var lastKey: String?
        while true {
            let page = try await queries.page(range, after: lastKey, documentsMax: pageDocumentsMax)
            guard let last = page.last else { return }
            lastKey = last.key
            try await body(page.map(\.json))
            if page.count < pageDocumentsMax { return }
        }
    }

    package func dropCollection(_ name: CollectionName) async throws(StoreError) {
        let call = ArangoDBCall(
            .delete, "/_api/collection/\(percentEncoded(name.rawValue))", operation: "drop collection \(name)"
        )
        _ = try await connection.send(call, accepting: [ArangoDBAnswer.ErrorNumber.collectionNotFound])
    }

    package func ping(timeout: Duration) async throws(StoreError) {
        struct Availability: Decodable { var mode: String? }
        let call = ArangoDBCall(
            .get, "/_admin/server/availability", operation: "look whether ArangoDB is available")
        let answer = try await connection.probe(call, timeout: timeout)
        guard answer.isSuccess else { throw answer.error(call.operation) }
        let mode = try answer.decode(Availability.self, call.operation).mode
        // A server that only reads answers 200 all the same.
        guard mode == nil || mode == "default" else {
            throw StoreError(
                .unavailable, operation: call.operation, detail: "the server's mode is \(mode ?? "")")
        }
    }

    package func close() async { await connection.close() }
}
