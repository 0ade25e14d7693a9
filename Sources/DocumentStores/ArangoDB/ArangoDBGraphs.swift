import Workflow

// Graphs in ArangoDB: a collection of vertices, one of edges, and a named graph over both, so that the server's
// own tools and traversals know it.
extension ArangoDBDocumentStore: GraphStore {
    package func ensureGraph(_ graph: GraphName) async throws(StoreError) {
        let schema = ArangoDBSchema(connection: connection)
        let ofSnapshot = DocumentIndex(fields: ["version", "as_of"])
        try await schema.ensureCollection(graph.vertices.rawValue, indexes: [ofSnapshot])
        // `_from` and `_to` have an index of their own in every edge collection.
        try await schema.ensureCollection(graph.edges.rawValue, kind: .edges, indexes: [ofSnapshot])
        try await schema.ensureCollection(
            graph.versions.rawValue, indexes: [DocumentIndex(fields: ["kind", "version"])])
        try await ArangoDBNamedGraph(connection: connection, graph: graph).ensure()
    }

    package func documents(
        in collection: CollectionName, where members: [DocumentMember], after key: String?, limit: Int
    ) async throws(StoreError) -> [StoredDocument] {
        try await ArangoDBQueries(connection: connection, collection: collection)
            .documents(where: members, after: key, limit: limit)
    }

    package func count(
        in collection: CollectionName, where members: [DocumentMember]
    ) async throws(StoreError) -> Int64 {
        try await ArangoDBQueries(connection: connection, collection: collection).count(where: members)
    }

    package func remove(
        from collection: CollectionName, where members: [DocumentMember]
    ) async throws(StoreError) {
        do throws(StoreError) {
            try await ArangoDBQueries(connection: connection, collection: collection).remove(where: members)
        } catch {
            guard error.code == .notFound else { throw error }
        }
    }
}

/// A named graph of one edge definition, over the interface `gharial`.
struct ArangoDBNamedGraph {
    private struct Definition: Codable, Equatable {
        var collection: String
        var from: [String]
        var to: [String]
    }

    private struct Body: Codable {
        var name: String
        var edgeDefinitions: [Definition]
    }

    private struct Answer: Decodable {
        var graph: Body
    }

    let connection: ArangoDBConnection
    let graph: GraphName

    func ensure() async throws(StoreError) {
        let vertices = [graph.vertices.rawValue]
        let definition = Definition(collection: graph.edges.rawValue, from: vertices, to: vertices)
        let operation = "create graph \(graph)"
        let call = try ArangoDBCall(.post, "/_api/gharial", operation: operation)
            .query("waitForSync", "true")
            .json(Body(name: graph.rawValue, edgeDefinitions: [definition]))
        let answer = try await connection.send(call, accepting: [ArangoDBAnswer.ErrorNumber.graphDuplicate])
        guard answer.errorNumber == ArangoDBAnswer.ErrorNumber.graphDuplicate else { return }
        let look = ArangoDBCall(
            .get, "/_api/gharial/\(percentEncoded(graph.rawValue))", operation: operation)
        let found = try await connection.send(look).decode(Answer.self, operation).graph.edgeDefinitions
        guard found.contains(definition) else {
            throw StoreError(
                .conflict, operation: operation,
                detail: "there is a graph of that name with other collections: "
                    + found.map(\.collection).joined(separator: ", "))
        }
    }
}

extension ArangoDBQueries {
    private static let removedAtOnce: Int64 = 10_000

    func documents(
        where members: [DocumentMember], after key: String?, limit: Int
    ) async throws(StoreError) -> [StoredDocument] {
        precondition((1...DocumentBatch.documentsMax).contains(limit), "a page is bounded")
        var (filter, values) = Self.condition(members)
        if let key {
            filter.append("d._key > @after")
            values["after"] = .text(key)
        }
        values["limit"] = .number(Int64(limit))
        let query =
            "FOR d IN @@collection\(Self.text(filter)) SORT d._key LIMIT @limit "
            + "RETURN UNSET(d, \"_id\", \"_rev\")"
        let operation = "read \(collection)"
        var documents: [StoredDocument] = []
        for json in try await run(query, bound(values), batchSize: limit, operation) {
            guard let key = JSONText(json)?.members?.first(where: { $0.name == "_key" })?.value.text else {
                throw StoreError(.corrupt, operation: operation, detail: "a document has no _key")
            }
            documents.append(StoredDocument(key: key, json: json))
        }
        return documents
    }

    func count(where members: [DocumentMember]) async throws(StoreError) -> Int64 {
        let (filter, values) = Self.condition(members)
        let query = "FOR d IN @@collection\(Self.text(filter)) COLLECT WITH COUNT INTO n RETURN n"
        let operation = "count in \(collection)"
        let results = try await run(query, bound(values), batchSize: 1, operation)
        guard results.count == 1, let count = Int64(String(decoding: results[0], as: UTF8.self)) else {
            throw StoreError(.corrupt, operation: operation, detail: "the answer is no number")
        }
        return count
    }

    /// A part at a time, so that no transaction of the server's grows without bound.
    func remove(where members: [DocumentMember]) async throws(StoreError) {
        let (filter, conditions) = Self.condition(members)
        var values = conditions
        values["limit"] = .number(Self.removedAtOnce)
        let query =
            "FOR d IN @@collection\(Self.text(filter)) LIMIT @limit REMOVE d IN @@collection "
            + "OPTIONS { waitForSync: true } RETURN OLD._key"
        while true {
            let removed = try await run(
                query, bound(values), batchSize: Int(Self.removedAtOnce), "remove from \(collection)")
            if removed.count < Self.removedAtOnce { return }
        }
    }

    private static func condition(_ members: [DocumentMember]) -> ([String], [String: BindValue]) {
        var (filter, values): ([String], [String: BindValue]) = ([], [:])
        for (index, member) in members.enumerated() {
            filter.append("d.\(member.name) == @value\(index)")
            values["value\(index)"] =
                switch member.value {
                case .text(let text): .text(text)
                case .integer(let number): .number(number)
                }
        }
        return (filter, values)
    }

    private static func text(_ filter: [String]) -> String {
        filter.isEmpty ? "" : " FILTER " + filter.joined(separator: " AND ")
    }

    private func bound(_ values: [String: BindValue]) -> [String: BindValue] {
        values.merging(["@collection": .text(collection.rawValue)]) { own, _ in own }
    }
}
