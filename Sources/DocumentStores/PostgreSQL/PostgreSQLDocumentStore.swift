import PostgresBridge
import Synchronization
import Workflow

/// Keeps documents in PostgreSQL: a table of `jsonb` for each collection, and the readers' positions beside
/// them, moved in the same transaction.
///
/// Of documents with equal keys in one batch the first counts for `insertOrIgnore` and the last for
/// `upsert`; the others count as `existing`. A key that ArangoDB would not take is refused here too.
package final class PostgreSQLDocumentStore: DocumentStore {
    /// How often a batch is tried that was in a deadlock with another writer.
    private static let attemptsMax = 5
    /// An index over a large collection takes its time.
    private static let schemaTimeout = Duration.seconds(600)

    let pool: PostgresPool
    private let expectations = Mutex(KeyExpectations())

    /// - Parameter pool: the store's from now on: ``close()`` closes it. Its database needs ``prepare()``
    ///   once.
    package init(pool: PostgresPool) {
        self.pool = pool
    }

    /// Connects and brings the database's schema up to date.
    package static func open(
        _ url: PostgresURL, connectionsMax: Int = 4, observe: @escaping PostgresObserver = { _ in }
    ) async throws(StoreError) -> PostgreSQLDocumentStore {
        try await open(currentURL: { url }, connectionsMax: connectionsMax, observe: observe)
    }

    /// - Parameter currentURL: asked before each new connection.
    package static func open(
        currentURL: @escaping @Sendable () -> PostgresURL, connectionsMax: Int = 4,
        observe: @escaping PostgresObserver = { _ in }
    ) async throws(StoreError) -> PostgreSQLDocumentStore {
        var configuration = PostgresConfiguration(currentURL: currentURL, connectionsMax: connectionsMax)
        configuration.applicationName = "streamforge-documents"
        // The staging table of a full batch stays in memory.
        configuration.sessionSettings = ["temp_buffers": "24MB"]
        let store = PostgreSQLDocumentStore(pool: PostgresPool(configuration, observe: observe))
        do {
            try await store.prepare()
        } catch {
            await store.close()
            throw error
        }
        return store
    }

    /// Brings the database's schema up to date; any number of processes may do it at once.
    package func prepare() async throws(StoreError) {
        try await attempt("prepare the document store") {
            try await pool.migrate(PostgreSQLSchema.migrations, schema: PostgreSQLSchema.ownSchema)
        }
    }

    package func ensureCollection(
        _ name: CollectionName, indexes: [DocumentIndex]
    ) async throws(StoreError) {
        try await attempt("create collection \(name)") {
            try await pool.withConnection { connection in
                try await connection.setStatementTimeout(Self.schemaTimeout)
                try await connection.executeScript(PostgreSQLSchema.create(name, indexes: indexes))
            }
        }
    }

    package func claim(
        _ stream: StreamName, attempt: Int
    ) async throws(StoreError) -> StreamProgress {
        let operation = "claim stream \(stream.rawValue)"
        return try await self.attempt(operation) {
            let rows = try await pool.execute(
                """
                INSERT INTO document_store.streams AS stored (stream, attempt)
                VALUES (\(stream.rawValue), \(attempt))
                ON CONFLICT (stream) DO UPDATE SET attempt = EXCLUDED.attempt, updated_at = now()
                WHERE stored.attempt <= EXCLUDED.attempt
                RETURNING attempt, next_offset, last_sequence, records_written, duplicates, dead_letters
                """)
            guard let row = rows.first else {
                throw StoreError(.superseded, operation: operation, detail: "a higher attempt has claimed it")
            }
            return try StreamProgress(row)
        }
    }

    package func write(
        _ batch: DocumentBatch, to collection: CollectionName, mode: WriteMode, advance: StreamAdvance?,
        refused: @Sendable ([RefusedDocument]) async throws -> Void
    ) async throws(StoreError) -> WriteOutcome {
        let operation = "write into \(collection)"
        let options = PostgresTransactionOptions(attemptsMax: Self.attemptsMax)
        return try await attempt(operation) {
            try await pool.withTransaction(options) { transaction in
                if let advance { try await check(advance, operation, transaction) }
                let writer = PostgreSQLBatchWriter(
                    transaction: transaction, batch: batch, collection: collection, mode: mode,
                    expectsNewKeys: expectations.withLock { $0.expectsNewKeys(in: collection) })
                let stored = try await writer.store()
                expectations.withLock { $0.wrote(to: collection, hadConflict: stored.hadConflict) }
                if !stored.refused.isEmpty { try await refused(stored.refused) }
                var progress: StreamProgress?
                if let advance { progress = try await move(advance, by: stored, operation, transaction) }
                return WriteOutcome(
                    created: stored.created, existing: stored.existing, refused: stored.refused,
                    progress: progress)
            }
        }
    }

    package func remove(_ keys: [String], from collection: CollectionName) async throws(StoreError) {
        try await attempt("remove from \(collection)") {
            try await pool.execute(
                "DELETE FROM \(raw: PostgreSQLSchema.table(collection)) WHERE _key = ANY(\(keys)::text[])")
        }
    }

    package func count(
        in collection: CollectionName, range: KeyRange
    ) async throws(StoreError) -> Int64 {
        try await attempt("count in \(collection)") {
            let rows = try await pool.execute(
                """
                SELECT count(*) FROM \(raw: PostgreSQLSchema.table(collection))
                WHERE _key >= \(range.first) AND _key <= \(range.last)
                    AND document->>'symbol' = \(range.symbol)
                    AND (\(range.interval)::text IS NULL OR document->>'interval' = \(range.interval))
                """)
            return try rows[0][0, as: Int64.self]
        }
    }

    package func scan(
        _ collection: CollectionName, range: KeyRange, pageDocumentsMax: Int,
        body: ([[UInt8]]) async throws -> Void
    ) async throws {
        precondition(pageDocumentsMax > 0, "a page holds at least one document")
        var after: String?
        while true {
            let page = try await page(of: collection, range, after: after, documentsMax: pageDocumentsMax)
            guard let last = page.last else { return }
            after = try last[0, as: String.self]
            try await body(page.map { row in row.withBytes(1) { $0.map(Array.init) ?? [] } })
            guard page.count == pageDocumentsMax else { return }
        }
    }

    package func dropCollection(_ name: CollectionName) async throws(StoreError) {
        try await attempt("drop collection \(name)") {
            try await pool.execute("DROP TABLE IF EXISTS \(raw: PostgreSQLSchema.table(name))")
        }
    }

    package func ping(timeout: Duration) async throws(StoreError) {
        try await attempt("ping") {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { [pool] in try await pool.execute("SELECT 1") }
                group.addTask {
                    try await Task.sleep(for: timeout)
                    throw StoreError(.unavailable, operation: "ping", detail: "no answer in \(timeout)")
                }
                try await group.next()
                group.cancelAll()
            }
        }
    }

    package func close() async {
        await pool.close()
    }
}

// MARK: Steps

extension PostgreSQLDocumentStore {
    @discardableResult
    func attempt<R>(
        _ operation: String, _ body: () async throws -> R
    ) async throws(StoreError) -> R {
        do {
            return try await body()
        } catch {
            throw .wrapping(error, operation: operation)
        }
    }

    /// Makes sure that the stream stands where the writer believes.
    ///
    /// Takes no lock: a claim never waits for a batch, and ``move(_:by:_:_:)`` decides in the end.
    private func check(
        _ advance: StreamAdvance, _ operation: String, _ transaction: PostgresConnection
    ) async throws {
        let rows = try await transaction.execute(
            """
            SELECT attempt, next_offset, last_sequence, records_written, duplicates, dead_letters
            FROM document_store.streams WHERE stream = \(advance.stream.rawValue)
            """)
        guard let row = rows.first else {
            throw StoreError(.conflict, operation: operation, detail: "the stream was never claimed")
        }
        let stored = try StreamProgress(row)
        guard stored.attempt <= advance.from.attempt else {
            throw StoreError(
                .superseded, operation: operation, detail: "attempt \(stored.attempt) has claimed the stream")
        }
        guard stored == advance.from else {
            throw StoreError(
                .conflict, operation: operation,
                detail: "the stream stands at offset \(stored.nextOffset), not \(advance.from.nextOffset)")
        }
    }

    /// Moves the stream by compare-and-set. From here to the commit a claim waits.
    private func move(
        _ advance: StreamAdvance, by stored: PostgreSQLBatchWriter.Stored, _ operation: String,
        _ transaction: PostgresConnection
    ) async throws -> StreamProgress {
        let from = advance.from
        var next = from
        next.nextOffset = advance.nextOffset
        next.lastSequence = advance.lastSequence
        next.recordsWritten += Int64(stored.created)
        next.duplicates += Int64(stored.existing)
        next.deadLetters += advance.deadLetters + Int64(stored.refused.count)
        let moved = try await transaction.execute(
            """
            UPDATE document_store.streams SET next_offset = \(next.nextOffset),
                last_sequence = \(next.lastSequence), records_written = \(next.recordsWritten),
                duplicates = \(next.duplicates), dead_letters = \(next.deadLetters), updated_at = now()
            WHERE stream = \(advance.stream.rawValue) AND attempt = \(from.attempt)
                AND next_offset = \(from.nextOffset) AND last_sequence = \(from.lastSequence)
                AND records_written = \(from.recordsWritten) AND duplicates = \(from.duplicates)
                AND dead_letters = \(from.deadLetters)
            """)
        guard moved.affectedRows == 1 else {
            try await check(advance, operation, transaction)
            throw StoreError(.conflict, operation: operation, detail: "the stream moved meanwhile")
        }
        return next
    }

    private func page(
        of collection: CollectionName, _ range: KeyRange, after: String?, documentsMax: Int
    ) async throws(StoreError) -> PostgresResult {
        try await attempt("scan \(collection)") {
            try await pool.execute(
                """
                SELECT _key, document::text FROM \(raw: PostgreSQLSchema.table(collection))
                WHERE _key >= \(range.first) AND _key <= \(range.last) AND _key > \(after ?? "")
                    AND document->>'symbol' = \(range.symbol)
                    AND (\(range.interval)::text IS NULL OR document->>'interval' = \(range.interval))
                ORDER BY _key LIMIT \(documentsMax)
                """)
        }
    }
}

extension StreamProgress {
    fileprivate init(_ row: PostgresRow) throws(PostgresError) {
        self.init(
            attempt: try row["attempt", as: Int.self], nextOffset: try row["next_offset", as: Int64.self],
            lastSequence: try row["last_sequence", as: Int64.self],
            recordsWritten: try row["records_written", as: Int64.self],
            duplicates: try row["duplicates", as: Int64.self],
            deadLetters: try row["dead_letters", as: Int64.self])
    }
}

/// Remembers for each collection whether the next batch is likely to hold only new keys.
struct KeyExpectations {
    /// After a batch with a known key, this many go the careful way.
    private static let carefulBatches = 16
    private static let collectionsMax = 1_000
    private var carefulLeft: [CollectionName: Int] = [:]

    func expectsNewKeys(in collection: CollectionName) -> Bool {
        carefulLeft[collection] == nil
    }

    mutating func wrote(to collection: CollectionName, hadConflict: Bool) {
        guard let left = carefulLeft[collection] else {
            guard hadConflict else { return }
            if carefulLeft.count >= Self.collectionsMax { carefulLeft.removeAll() }
            carefulLeft[collection] = Self.carefulBatches
            return
        }
        carefulLeft[collection] = left > 1 ? left - 1 : nil
    }
}
