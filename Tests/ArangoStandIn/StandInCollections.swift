extension StandInArangoDB {
    func find(_ name: String, in database: String) throws(StandInError) -> StandInCollection {
        let collections = databases[database]?.collections ?? [:]
        guard let found = collections[name] ?? collections.values.first(where: { $0.id == name }) else {
            throw .collectionNotFound(name)
        }
        return found
    }

    func save(_ collection: StandInCollection, in database: String) {
        databases[database]?.collections[collection.name] = collection
    }

    func collection(_ request: StandInRequest, _ rest: [String]) throws(StandInError) -> StandInReply {
        guard let name = rest.first else {
            return request.method == "POST" ? try createCollection(request) : listCollections(request)
        }
        var found = try find(name, in: request.database)
        switch (request.method, rest.dropFirst().first) {
        case ("GET", nil): return .management(200, found.summary)
        case ("GET", "properties"):
            var reply = StandInReply.management(200, found.properties)
            reply.headers["location"] = "/_db/\(request.database)/_api/collection/\(name)/properties"
            return reply
        case ("GET", "count"):
            let count = JSON.int(Int64(found.documents.count))
            return StandInReply(
                200, found.properties.merging(["count": count, "error": false, "code": 200]),
                headers: ["location": "/_db/\(request.database)/_api/collection/\(name)/count"])
        case ("PUT", "truncate"):
            found.truncate()
            save(found, in: request.database)
            return StandInReply(
                200, found.summary.merging(["error": false, "code": 200]),
                headers: ["location": "/_db/\(request.database)/_api/collection/\(name)/truncate"])
        case ("DELETE", nil):
            databases[request.database]?.collections[found.name] = nil
            return .management(200, ["id": .string(found.id)])
        default: throw .unknownPath
        }
    }

    private func createCollection(_ request: StandInRequest) throws(StandInError) -> StandInReply {
        guard let body = request.json, let name = body["name"]?.string else {
            throw StandInError(status: 400, number: 1_208, message: "illegal name")
        }
        guard StandInCollection.isLegalName(name) else {
            throw StandInError(status: 400, number: 1_208, message: "illegal name")
        }
        guard databases[request.database]?.collections[name] == nil else {
            throw StandInError(status: 409, number: 1_207, message: "duplicate name")
        }
        let created = StandInCollection(
            id: makeID(), name: name, type: body["type"]?.int ?? 2,
            waitForSync: body["waitForSync"]?.bool ?? false)
        save(created, in: request.database)
        return .management(200, created.properties)
    }

    private func listCollections(_ request: StandInRequest) -> StandInReply {
        let all = databases[request.database]?.collections.values.sorted { $0.name < $1.name } ?? []
        return .management(200, ["result": .array(all.map(\.summary))])
    }

    // MARK: Indexes

    func index(_ request: StandInRequest, _ rest: [String]) throws(StandInError) -> StandInReply {
        var found = try find(request.query["collection"] ?? rest.first ?? "", in: request.database)
        if rest.count == 2 {
            let id = "\(found.name)/\(rest[1])"
            guard let position = found.indexes.firstIndex(where: { $0["id"]?.string == id }) else {
                throw StandInError(status: 404, number: 1_212, message: "index not found")
            }
            if request.method == "GET" {
                return .management(200, found.indexes[position])
            }
            found.indexes.remove(at: position)
            save(found, in: request.database)
            return .management(200, ["id": .string(id)])
        }
        if request.method == "GET" {
            let identifiers = found.indexes.map { ($0["id"]?.string ?? "", $0) }
            return .management(
                200,
                [
                    "indexes": .array(found.indexes),
                    "identifiers": .object(Dictionary(identifiers) { $1 }),
                ])
        }
        return try createIndex(request, on: found)
    }

    private func createIndex(
        _ request: StandInRequest, on collection: StandInCollection
    ) throws(StandInError) -> StandInReply {
        guard let body = request.json, body["type"]?.string == "persistent",
            let fields = body["fields"]?.array,
            !fields.isEmpty
        else { throw .badRequest("this stand-in makes persistent indexes only") }
        let definition: [String: JSON] = [
            "type": "persistent", "fields": .array(fields), "unique": body["unique"] ?? false,
            "sparse": body["sparse"] ?? false,
        ]
        let equal = collection.indexes.first { index in
            definition.allSatisfy { index[$0.key] == $0.value }
        }
        if let equal { return .management(200, equal.merging(["isNewlyCreated": false])) }
        let id = makeID()
        let created = JSON.object(definition).merging([
            "cacheEnabled": false, "deduplicate": true, "estimates": true,
            "id": .string("\(collection.name)/\(id)"), "name": body["name"] ?? .string("idx_\(id)"),
            "selectivityEstimate": 1,
        ])
        var changed = collection
        changed.indexes.append(created)
        save(changed, in: request.database)
        return .management(201, created.merging(["isNewlyCreated": true]))
    }
}
