import PostgresBridge
import Workflow

// Graphs in PostgreSQL: tables of documents like all collections; that of the edges is indexed by both ends.
extension PostgreSQLDocumentStore: GraphStore {
    package func ensureGraph(_ graph: GraphName) async throws(StoreError) {
        let ofSnapshot = DocumentIndex(fields: ["version", "as_of"])
        try await ensureCollection(graph.vertices, indexes: [ofSnapshot])
        try await ensureCollection(
            graph.edges,
            indexes: [ofSnapshot, DocumentIndex(fields: ["_from"]), DocumentIndex(fields: ["_to"])])
        try await ensureCollection(graph.versions, indexes: [DocumentIndex(fields: ["kind", "version"])])
    }

    package func documents(
        in collection: CollectionName, where members: [DocumentMember], after key: String?, limit: Int
    ) async throws(StoreError) -> [StoredDocument] {
        precondition((1...DocumentBatch.documentsMax).contains(limit), "a page is bounded")
        return try await attempt("read \(collection)") {
            var (condition, parameters) = Self.condition(members)
            parameters.append(key ?? "")
            let query = PostgresQuery(
                """
                SELECT _key, document::text FROM \(PostgreSQLSchema.table(collection))
                WHERE \(condition) AND _key > $\(parameters.count) ORDER BY _key LIMIT \(limit)
                """, parameters)
            return try await pool.execute(query).map { row in
                StoredDocument(
                    key: try row[0, as: String.self],
                    json: row.withBytes(1) { $0.map(Array.init) ?? [] })
            }
        }
    }

    package func count(
        in collection: CollectionName, where members: [DocumentMember]
    ) async throws(StoreError) -> Int64 {
        try await attempt("count in \(collection)") {
            let (condition, parameters) = Self.condition(members)
            let rows = try await pool.execute(
                PostgresQuery(
                    "SELECT count(*) FROM \(PostgreSQLSchema.table(collection)) WHERE \(condition)",
                    parameters))
            return try rows[0][0, as: Int64.self]
        }
    }

    package func remove(
        from collection: CollectionName, where members: [DocumentMember]
    ) async throws(StoreError) {
        do throws(StoreError) {
            try await attempt("remove from \(collection)") {
                let (condition, parameters) = Self.condition(members)
                try await pool.execute(
                    PostgresQuery(
                        "DELETE FROM \(PostgreSQLSchema.table(collection)) WHERE \(condition)", parameters))
            }
        } catch {
            guard error.code == .notFound else { throw error }
        }
    }

    /// Members' names are plain words (``DocumentMember``); values travel as parameters.
    private static func condition(_ members: [DocumentMember]) -> (String, [String]) {
        var parameters: [String] = []
        var parts: [String] = []
        for member in members {
            switch member.value {
            case .text(let text): parameters.append(text)
            case .integer(let number): parameters.append(String(number))
            }
            parts.append("document->>'\(member.name)' = $\(parameters.count)")
        }
        return (parts.isEmpty ? "true" : parts.joined(separator: " AND "), parameters)
    }
}
