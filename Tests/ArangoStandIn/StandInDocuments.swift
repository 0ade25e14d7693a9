extension StandInArangoDB {
    func document(_ request: StandInRequest, _ rest: [String]) throws(StandInError) -> StandInReply {
        guard let name = rest.first else { throw .unknownPath }
        let found = try find(name, in: request.database)
        guard rest.count > 1 else {
            switch request.method {
            case "POST": return try insert(request, into: found)
            case "PUT" where request.flag("onlyget"): return try readMany(request, from: found)
            default: throw .unknownPath
            }
        }
        let key = rest[1]
        guard let stored = found.documents[key] else { throw .documentNotFound }
        let revision = stored["_rev"]?.string ?? ""
        switch request.method {
        case "GET", "HEAD":
            let etag = ["etag": "\"\(revision)\""]
            if request.headers["if-none-match"] == "\"\(revision)\"" {
                return StandInReply(304, nil, headers: etag)
            }
            try checkRevision(request, stored)
            return StandInReply(200, request.method == "GET" ? .object(stored) : nil, headers: etag)
        case "PUT", "PATCH", "DELETE":
            try checkRevision(request, stored)
            return try change(request, stored, key: key, of: found)
        default: throw .unknownPath
        }
    }

    private func checkRevision(_ request: StandInRequest, _ stored: [String: JSON]) throws(StandInError) {
        // With `ignoreRevs=false` the revision in the body counts.
        let isBodyChecked = ["false", "0"].contains(request.query["ignoreRevs"])
        let inBody = isBodyChecked ? request.json?["_rev"]?.string : nil
        guard let wanted = request.headers["if-match"] ?? inBody, let revision = stored["_rev"]?.string else {
            return
        }
        guard wanted.replacing("\"", with: "") != revision else { return }
        throw StandInError(
            status: 412, number: 1_200, message: "conflict, _rev values do not match",
            extra: stored.filter { ["_id", "_key", "_rev"].contains($0.key) },
            headers: ["etag": "\"\(revision)\""])
    }

    private func change(
        _ request: StandInRequest, _ stored: [String: JSON], key: String, of collection: StandInCollection
    ) throws(StandInError) -> StandInReply {
        var collection = collection
        let isSynced = collection.waitForSync || request.flag("waitForSync")
        var answer: [String: JSON] = ["_id": .string("\(collection.name)/\(key)"), "_key": .string(key)]
        var headers: [String: String] = [:]
        if request.method == "DELETE" {
            collection.remove(key)
            answer["_rev"] = stored["_rev"]
            if request.flag("returnOld") { answer["old"] = .object(stored) }
            save(collection, in: request.database)
            headers = [
                "etag": "\"\(stored["_rev"]?.string ?? "")\"",
                "location": location(request, collection.name, key),
            ]
            return StandInReply(isSynced ? 200 : 202, .object(answer), headers: headers)
        }
        guard let body = request.json?.object else {
            throw StandInError(status: 400, number: 600, message: "VPackError error: expecting an object")
        }
        let revision = makeRevision()
        let next = request.method == "PATCH" ? Self.merged(stored, body, request) : body
        collection.store(next, key: key, revision: revision)
        save(collection, in: request.database)
        answer["_rev"] = .string(revision)
        answer["_oldRev"] = stored["_rev"]
        if request.flag("returnNew") { answer["new"] = collection.documents[key].map(JSON.object) }
        if request.flag("returnOld") { answer["old"] = .object(stored) }
        headers = ["etag": "\"\(revision)\"", "location": location(request, collection.name, key)]
        return StandInReply(isSynced ? 201 : 202, .object(answer), headers: headers)
    }

    /// PATCH: objects are merged unless `mergeObjects=false`, nulls are kept unless `keepNull=false`.
    static func merged(
        _ stored: [String: JSON], _ change: [String: JSON], _ request: StandInRequest
    ) -> [String: JSON] {
        var result = stored
        for (name, value) in change {
            if value == .null, request.query["keepNull"] == "false" {
                result[name] = nil
            } else if request.query["mergeObjects"] != "false", let old = result[name]?.object,
                let new = value.object
            {
                result[name] = .object(merged(old, new, request))
            } else {
                result[name] = value
            }
        }
        return result
    }

    private func insert(
        _ request: StandInRequest, into collection: StandInCollection
    ) throws(StandInError) -> StandInReply {
        var collection = collection
        let isSynced = collection.waitForSync || request.flag("waitForSync")
        guard let body = request.json else {
            throw StandInError(status: 400, number: 600, message: "VPackError error: Expecting '\"' or '}'")
        }
        if let many = body.array {
            var items: [JSON] = []
            var numbers: [Int: Int] = [:]
            for one in many {
                do throws(StandInError) {
                    items.append(.object(try insertOne(one, into: &collection, request)))
                } catch {
                    items.append(error.item)
                    numbers[error.number, default: 0] += 1
                }
            }
            save(collection, in: request.database)
            let codes = numbers.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }
            let headers =
                numbers.isEmpty ? [:] : ["x-arango-error-codes": "{\(codes.joined(separator: ","))}"]
            return StandInReply(isSynced ? 201 : 202, .array(items), headers: headers)
        }
        let answer = try insertOne(body, into: &collection, request)
        save(collection, in: request.database)
        let key = answer["_key"]?.string ?? ""
        let headers = [
            "etag": "\"\(answer["_rev"]?.string ?? "")\"",
            "location": location(request, collection.name, key),
        ]
        return StandInReply(isSynced ? 201 : 202, .object(answer), headers: headers)
    }

    private func insertOne(
        _ value: JSON, into collection: inout StandInCollection, _ request: StandInRequest
    ) throws(StandInError) -> [String: JSON] {
        let document = try Self.checked(value, for: collection)
        let key = document["_key"]?.string ?? makeID()
        let stored = collection.documents[key]
        let mode = request.query["overwriteMode"] ?? (request.flag("overwrite") ? "replace" : "conflict")
        if let stored {
            switch mode {
            case "ignore":
                return stored.filter { ["_id", "_key", "_rev"].contains($0.key) }
            case "replace", "update": break
            default: throw .uniqueViolated
            }
        }
        let revision = makeRevision()
        let next = mode == "update" ? Self.merged(stored ?? [:], document, request) : document
        collection.store(next, key: key, revision: revision)
        var answer: [String: JSON] = [
            "_id": .string("\(collection.name)/\(key)"), "_key": .string(key), "_rev": .string(revision),
        ]
        if let stored { answer["_oldRev"] = stored["_rev"] }
        if request.flag("returnNew") { answer["new"] = collection.documents[key].map(JSON.object) }
        return answer
    }

    /// The document, if it may be stored here.
    static func checked(
        _ value: JSON, for collection: StandInCollection
    ) throws(StandInError) -> [String: JSON] {
        guard let document = value.object else {
            throw StandInError(status: 400, number: 1_227, message: "invalid document type")
        }
        if let key = document["_key"] {
            guard let key = key.string, StandInCollection.isLegalKey(key) else { throw .illegalKey }
        }
        return document
    }

    private func readMany(
        _ request: StandInRequest, from collection: StandInCollection
    ) throws(StandInError) -> StandInReply {
        guard let wanted = request.json?.array else { throw .badRequest("expecting an array") }
        let items = wanted.map { item -> JSON in
            let key = item.string ?? item["_key"]?.string ?? ""
            return collection.documents[key].map(JSON.object) ?? StandInError.documentNotFound.item
        }
        return StandInReply(200, .array(items))
    }

    private func location(_ request: StandInRequest, _ collection: String, _ key: String) -> String {
        "/_db/\(request.database)/_api/document/\(collection)/\(key)"
    }
}
