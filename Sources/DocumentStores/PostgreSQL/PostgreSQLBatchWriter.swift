import PostgresBridge
import Workflow

/// Stores one batch inside one transaction.
struct PostgreSQLBatchWriter {
    let transaction: PostgresConnection
    let batch: DocumentBatch
    let collection: CollectionName
    let mode: WriteMode
    /// Try a COPY straight into the collection first: nearly twice as fast, but one key that is there
    /// already makes all of it vain.
    let expectsNewKeys: Bool

    struct Stored {
        var created = 0
        var existing = 0
        var refused: [RefusedDocument] = []
        var hadConflict = false
    }

    func store() async throws -> Stored {
        var selection = BatchSelection(batch, mode: mode)
        var stored = Stored()
        var chosen = selection.next()
        while !chosen.isEmpty {
            var created = 0
            var refused: [RefusedDocument] = []
            if expectsNewKeys, !stored.hadConflict, try await copyDirectly(chosen) {
                created = chosen.count
            } else {
                stored.hadConflict = true
                try await transaction.execute(PostgreSQLSchema.createStaging)
                (created, refused) = try await storeStaged(chosen[...])
            }
            stored.created += created
            stored.existing += chosen.count - created - refused.count
            stored.existing += selection.settle(refused: refused)
            chosen = selection.next()
        }
        stored.refused = selection.refused.sorted { $0.index < $1.index }
        return stored
    }

    /// - Returns: false when a document is there already or is refused; then nothing was stored.
    private func copyDirectly(_ indices: [Int]) async throws -> Bool {
        try await transaction.execute("SAVEPOINT direct")
        do {
            let rows = BinaryCopy.encode(batch, indices)
            _ = try await transaction.copyIn(PostgreSQLSchema.copyInto(collection), bytes: rows)
            return true
        } catch  where error.isRefusalOfData {
            try await transaction.execute("ROLLBACK TO SAVEPOINT direct")
            return false
        }
    }

    /// Stores documents by way of the staging table. When the server refuses one, halves are tried until it
    /// is found: the rest is stored.
    private func storeStaged(
        _ indices: ArraySlice<Int>
    ) async throws -> (created: Int, refused: [RefusedDocument]) {
        do {
            return (try await moveStaged(indices), [])
        } catch let error as PostgresError where error.isRefusalOfData {
            try await transaction.execute("ROLLBACK TO SAVEPOINT staged")
            if indices.count == 1, let index = indices.first {
                return (0, [RefusedDocument(index: index, reason: Self.reason(error))])
            }
        }
        let middle = indices.startIndex + indices.count / 2
        let first = try await storeStaged(indices[..<middle])
        let second = try await storeStaged(indices[middle...])
        return (first.created + second.created, first.refused + second.refused)
    }

    private func moveStaged(_ indices: ArraySlice<Int>) async throws -> Int {
        try await transaction.execute(["SAVEPOINT staged", "TRUNCATE pg_temp.staging"])
        let rows = BinaryCopy.encode(batch, indices)
        _ = try await transaction.copyIn(PostgreSQLSchema.copyIntoStaging, bytes: rows)
        let moved = try await transaction.execute(PostgreSQLSchema.moveStaged(into: collection, mode: mode))
        return try moved[0][0, as: Int.self]
    }

    private static func reason(_ error: PostgresError) -> String {
        let text = [error.message, error.detail].filter { !$0.isEmpty }.joined(separator: ": ")
        return String(text.prefix(500))
    }
}
