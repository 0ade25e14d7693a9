extension StandInArangoDB {
    private struct Tally {
        var created = 0
        var updated = 0
        var ignored = 0
        var empty = 0
        var details: [String] = []
    }

    func importDocuments(_ request: StandInRequest) throws(StandInError) -> StandInReply {
        let before = try find(request.query["collection"] ?? "", in: request.database)
        var collection = before
        if request.flag("overwrite") { collection.truncate() }
        var tally = Tally()
        let documents = try parseImport(request, &tally)
        let conflicting = takeConflictingKeys()
        for (position, value) in documents.enumerated() {
            do throws(StandInError) {
                if let key = value["_key"]?.string, conflicting.contains(key) { throw .writeConflict }
                try importOne(value, into: &collection, request, &tally)
            } catch {
                if request.flag("complete") { throw error }
                tally.details.append(Self.detail(error, position, value, isEdge: collection.type == 3))
            }
        }
        save(collection, in: request.database)
        if takeFault({ if case .miscount = $0 { true } else { false } }) { tally.created -= 1 }
        var answer: [String: JSON] = [
            "error": false, "created": .int(Int64(tally.created)), "errors": .int(Int64(tally.details.count)),
            "empty": .int(Int64(tally.empty)), "updated": .int(Int64(tally.updated)),
            "ignored": .int(Int64(tally.ignored)),
        ]
        if request.flag("details") { answer["details"] = .array(tally.details.map(JSON.string)) }
        return StandInReply(201, .object(answer))
    }

    private func importOne(
        _ value: JSON, into collection: inout StandInCollection, _ request: StandInRequest,
        _ tally: inout Tally
    ) throws(StandInError) {
        if collection.type == 3, value["_from"] == nil || value["_to"] == nil {
            throw StandInError(status: 400, number: 1_233, message: "missing '_from' or '_to' attribute")
        }
        let document = try Self.checked(value, for: collection)
        let key = document["_key"]?.string ?? makeID()
        guard let stored = collection.documents[key] else {
            collection.store(document, key: key, revision: makeRevision())
            tally.created += 1
            return
        }
        switch request.query["onDuplicate"] ?? "error" {
        case "ignore": tally.ignored += 1
        case "replace":
            collection.store(document, key: key, revision: makeRevision())
            tally.updated += 1
        case "update":
            collection.store(Self.merged(stored, document, request), key: key, revision: makeRevision())
            tally.updated += 1
        default: throw .uniqueViolated
        }
    }

    /// The server's text for a failed line; what is offending is cut off after 255 bytes.
    private static func detail(_ error: StandInError, _ position: Int, _ value: JSON, isEdge: Bool) -> String
    {
        // Bytes outside ASCII are escaped, so that a text can be cut anywhere.
        var text = ""
        for scalar in String(decoding: value.text, as: UTF8.self).unicodeScalars {
            if scalar.isASCII {
                text.unicodeScalars.append(scalar)
            } else {
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            }
        }
        if text.utf8.count > 255 { text = String(text.prefix(255)) + "..." }
        if error.number == 1_233 {
            // Found while the line is read, where lines are counted from 1.
            return "at position \(position + 1): \(error.message), offending document: \(text)"
        }
        return "at position \(position): creating document failed with error '\(error.message)', "
            + "offending document: \(text)"
    }

    /// The documents of the body by its declared kind; unreadable lines are failed already.
    private func parseImport(_ request: StandInRequest, _ tally: inout Tally) throws(StandInError) -> [JSON] {
        let firstByte = request.body.first { $0 > 0x20 }
        switch request.query["type"] {
        case "list", "array": return try parseList(request)
        case "auto":
            return firstByte == UInt8(ascii: "[") ? try parseList(request) : parseLines(request, &tally)
        case "documents": return parseLines(request, &tally)
        default: return try parseTable(request, &tally)
        }
    }

    private func parseList(_ request: StandInRequest) throws(StandInError) -> [JSON] {
        guard let list = request.json?.array else {
            throw .badRequest("expecting a JSON array in the request")
        }
        return list
    }

    private func lines(_ request: StandInRequest) -> [ArraySlice<UInt8>] {
        var lines = request.body.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }

    private func parseLines(_ request: StandInRequest, _ tally: inout Tally) -> [JSON] {
        var documents: [JSON] = []
        for (number, line) in lines(request).enumerated() {
            if line.allSatisfy({ $0 <= 0x20 }) {
                tally.empty += 1
            } else if let value = JSON(parsing: line), value.object != nil {
                documents.append(value)
            } else {
                let text = String(decoding: line.prefix(255), as: UTF8.self)
                tally.details.append(
                    "at position \(number + 1): invalid JSON type (expecting object, probably parse error), "
                        + "offending context: \(text)")
            }
        }
        return documents
    }

    /// Lines of arrays; the first holds the names.
    private func parseTable(_ request: StandInRequest, _ tally: inout Tally) throws(StandInError) -> [JSON] {
        let lines = lines(request)
        guard let names = lines.first.flatMap({ JSON(parsing: $0) })?.array?.compactMap(\.string) else {
            // A body that is no table is told so about its second line, recorded as such.
            throw .badRequest("no JSON array found in second line")
        }
        var documents: [JSON] = []
        for line in lines.dropFirst() {
            if line.allSatisfy({ $0 <= 0x20 }) {
                tally.empty += 1
            } else if let values = JSON(parsing: line)?.array {
                documents.append(.object(Dictionary(zip(names, values)) { $1 }))
            }
        }
        return documents
    }
}
