extension StandInArangoDB {
    func cursor(_ request: StandInRequest, _ rest: [String]) throws(StandInError) -> StandInReply {
        switch (request.method, rest.count) {
        case ("POST", 0): return try openCursor(request)
        case ("PUT", 0): throw .badRequest("expecting POST /_api/cursor/<cursor-id>")
        case ("POST", 1), ("PUT", 1): return try nextBatch(of: rest[0], repeating: nil)
        case ("POST", 2): return try nextBatch(of: rest[0], repeating: Int(rest[1]))
        case ("DELETE", 1):
            guard cursors.removeValue(forKey: rest[0]) != nil else { throw Self.cursorNotFound }
            return .management(202, ["id": .string(rest[0])])
        default: throw .unknownPath
        }
    }

    private static let cursorNotFound = StandInError(status: 404, number: 1_600, message: "cursor not found")

    private func openCursor(_ request: StandInRequest) throws(StandInError) -> StandInReply {
        guard let body = request.json, let text = body["query"]?.string, !text.isEmpty else {
            throw StandInError(status: 400, number: 1_502, message: "query is empty")
        }
        var query = StandInQuery(text, bindVars: body["bindVars"]?.object ?? [:])
        let result = try query.run { (name: String) throws(StandInError) -> [JSON] in
            try self.find(name, in: request.database).all
        }
        if let removal = result.removal {
            var collection = try find(removal.collection, in: request.database)
            for key in removal.keys { collection.remove(key) }
            save(collection, in: request.database)
        }
        let batchSize = body["batchSize"]?.int ?? 1_000
        let wantsCount = body["count"]?.bool == true
        var extra = Self.extra(result)
        if body["options"]?["fullCount"]?.bool == true, var stats = extra["stats"]?.object {
            stats["fullCount"] = .int(Int64(result.fullCount))
            extra["stats"] = .object(stats)
        }
        var answer: [String: JSON] = [
            "result": .array(Array(result.values.prefix(batchSize))), "cached": false,
            "extra": .object(extra),
            "error": false, "code": 201, "hasMore": .bool(result.values.count > batchSize),
        ]
        let count = wantsCount ? result.values.count : nil
        if let count { answer["count"] = .int(Int64(count)) }
        if result.values.count > batchSize {
            let id = makeID()
            cursors[id] = Cursor(
                rest: Array(result.values.dropFirst(batchSize)), batchSize: batchSize, count: count,
                extra: .object(extra))
            answer["id"] = .string(id)
            answer["nextBatchId"] = "2"
        }
        return StandInReply(201, .object(answer))
    }

    /// The next batch, or the last one once more.
    private func nextBatch(of id: String, repeating batch: Int?) throws(StandInError) -> StandInReply {
        guard var cursor = cursors[id] else { throw Self.cursorNotFound }
        if let batch, let last = cursor.lastBatch, last.id == batch { return last.reply }
        if let batch, batch != cursor.nextBatchID { throw Self.cursorNotFound }
        let values = Array(cursor.rest.prefix(cursor.batchSize))
        cursor.rest = Array(cursor.rest.dropFirst(cursor.batchSize))
        let hasMore = !cursor.rest.isEmpty
        var answer: [String: JSON] = [
            "result": .array(values), "hasMore": .bool(hasMore), "cached": false, "error": false, "code": 200,
            "extra": cursor.extra,
            "id": .string(id),
        ]
        if let count = cursor.count { answer["count"] = .int(Int64(count)) }
        if hasMore { answer["nextBatchId"] = .string(String(cursor.nextBatchID + 1)) }
        let reply = StandInReply(200, .object(answer))
        cursor.lastBatch = (cursor.nextBatchID, reply)
        cursor.nextBatchID += 1
        cursors[id] = cursor
        return reply
    }

    private static func extra(_ result: StandInQuery.Result) -> [String: JSON] {
        [
            "warnings": [],
            "stats": [
                "writesExecuted": .int(Int64(result.removal?.keys.count ?? 0)), "writesIgnored": 0,
                "documentLookups": 0, "seeks": 0,
                "scannedFull": .int(Int64(result.scanned)), "scannedIndex": 0, "searchParallelism": 1,
                "cursorsCreated": 0, "cursorsRearmed": 0, "cacheHits": 0, "cacheMisses": 0,
                "filtered": .int(Int64(result.filtered)), "httpRequests": 0, "executionTime": .double(0.0001),
                "peakMemoryUsage": 0, "intermediateCommits": 0,
            ],
        ]
    }
}
