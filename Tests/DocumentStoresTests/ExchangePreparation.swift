import HTTPBridge
import Testing

@testable import ArangoStandIn

/// What each example's script had set up before its recorded requests; the documentation shows it as code,
/// the recording only by its effect.
extension ExchangePlayer {
    func prepare(_ example: Example) async throws {
        let name = example.name
        let path = try #require(example.exchanges.first?.request["path"]?.string)
        switch name {
        case _ where name.contains("Unknown") && name.contains("Collection"),
            "RestImportJsonInvalidCollection_single":
            return
        case "RestCollectionDeleteCollectionName_single": try await create("products1")
        case "RestDatabaseDrop_single": try await send(.post, "/_api/database", ["name": "example"])
        case _ where name.hasPrefix("RestImport") && name.contains("Edge"): try await create("links", type: 3)
        case _ where name.hasPrefix("RestImport"): try await create("products")
        case _ where name.hasPrefix("RestIndex"):
            try await create("products")
            if name.hasPrefix("RestIndexDelete") {
                try await send(
                    .post, "/_api/index?collection=products",
                    ["type": "persistent", "fields": ["a"], "unique": true])
            }
        case "HttpGharialGetGraph_single":
            try await createGraph("myGraph", edges: "edges", from: ["startNodes"], to: ["endNodes"])
        case "HttpGharialDrop_single":
            let people = ["female", "male"]
            try await createGraph("social", edges: "relation", from: people, to: people)
        case _ where name.hasPrefix("RestCursor"): try await prepareCursor(name)
        case _ where name.hasPrefix("RestDocumentHandler"): try await prepareDocument(name, path)
        case _ where path.hasPrefix("/_api/collection/products"): try await prepareCollection(name)
        default: return
        }
    }

    private func prepareCollection(_ name: String) async throws {
        try await create("products", waitForSync: true)
        guard name.contains("Count") else { return }
        try await send(
            .post, "/_api/document/products", .array((0..<100).map { ["_key": .string("k\($0)")] }))
    }

    private func prepareCursor(_ name: String) async throws {
        try await create("products")
        for number in 1...5 {
            try await send(.post, "/_api/document/products", ["hello\(number)": "world1"])
        }
        guard name.contains("LimitReturnCont") else { return }
        try await send(
            .post, "/_api/cursor",
            ["query": "FOR p IN products LIMIT 5 RETURN p", "count": true, "batchSize": 2])
    }

    private func prepareDocument(_ name: String, _ path: String) async throws {
        // A 201 without `waitForSync` in the request comes from a collection that always syncs.
        let alwaysSyncs = ["PostCreate1", "PostOverwrite", "DeleteDocument_single"].contains {
            name.contains($0)
        }
        try await create("products", waitForSync: alwaysSyncs)
        let key = path.split(separator: "?")[0].split(separator: "/").dropFirst(3).first.map(String.init)
        guard let key, !name.contains("Unknown") else {
            if name.contains("ReadMulti") {
                try await send(
                    .post, "/_api/document/products",
                    [["_key": "doc1", "hello": "world"], ["_key": "doc2", "say": "hi to mom"]])
            }
            return
        }
        let content: JSON = name.contains("Patch") ? ["one": "world"] : ["hello": "world"]
        try await send(.post, "/_api/document/products", content.merging(["_key": .string(key)]))
    }

    private func create(_ name: String, type: Int = 2, waitForSync: Bool = false) async throws {
        try await send(
            .post, "/_api/collection",
            ["name": .string(name), "type": .int(Int64(type)), "waitForSync": .bool(waitForSync)])
    }

    private func createGraph(_ name: String, edges: String, from: [String], to: [String]) async throws {
        let definition: JSON = [
            "collection": .string(edges), "from": .array(from.map { .string($0) }),
            "to": .array(to.map { .string($0) }),
        ]
        try await send(
            .post, "/_api/gharial", ["name": .string(name), "edgeDefinitions": .array([definition])])
    }

    private func send(_ method: HTTPRequest.Method, _ path: String, _ body: JSON) async throws {
        let client = HTTPClient()
        let response = try await client.execute(HTTPRequest(method, url + path, body: body.text))
        await client.close()
        try #require((200...299).contains(response.status), "\(method) \(path)")
    }
}
