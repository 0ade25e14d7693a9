import Workflow

/// Creates what is missing: database, collections, indexes. What exists already is fine.
struct ArangoDBSchema: Sendable {
    private typealias ErrorNumber = ArangoDBAnswer.ErrorNumber

    let connection: ArangoDBConnection

    /// What a collection holds; the numbers are the server's own.
    enum Kind: Int, Encodable {
        case documents = 2
        case edges = 3
    }

    func ensureCollection(
        _ name: String, kind: Kind = .documents, indexes: [DocumentIndex]
    ) async throws(StoreError) {
        struct Body: Encodable {
            var name: String
            var type: Kind
        }
        let call = try ArangoDBCall(.post, "/_api/collection", operation: "create collection \(name)")
            .json(Body(name: name, type: kind))
        var accepted: Set<Int> = [ErrorNumber.duplicateName]
        if connection.settings.createsDatabase { accepted.insert(ErrorNumber.databaseNotFound) }
        let answer = try await connection.send(call, accepting: accepted)
        if answer.errorNumber == ErrorNumber.databaseNotFound {
            try await ensureDatabase()
            _ = try await connection.send(call, accepting: [ErrorNumber.duplicateName])
        }
        for index in indexes { try await ensureIndex(index, on: name) }
    }

    private func ensureIndex(_ index: DocumentIndex, on collection: String) async throws(StoreError) {
        struct Body: Encodable {
            var type = "persistent"
            var fields: [String]
            var unique: Bool
        }
        let fields = index.fields.joined(separator: ", ")
        let call = try ArangoDBCall(
            .post, "/_api/index", operation: "create index (\(fields)) on \(collection)"
        )
        .query("collection", collection)
        .json(Body(fields: index.fields, unique: index.isUnique))
        // An equal index is answered with 200 and changes nothing.
        _ = try await connection.send(call)
    }

    private func ensureDatabase() async throws(StoreError) {
        let name = connection.settings.database
        let call = try ArangoDBCall(.post, "/_db/_system/_api/database", operation: "create database \(name)")
            .json(["name": name])
        _ = try await connection.send(call, accepting: [ErrorNumber.duplicateName])
    }
}
