/// A collection in memory: documents by key, in the order they came.
struct StandInCollection: Sendable {
    let id: String
    let name: String
    /// 2: documents, 3: edges.
    let type: Int
    let waitForSync: Bool
    private(set) var documents: [String: [String: JSON]] = [:]
    private(set) var order: [String] = []
    var indexes: [JSON] = []

    init(id: String, name: String, type: Int, waitForSync: Bool) {
        self.id = id
        self.name = name
        self.type = type
        self.waitForSync = waitForSync
        indexes = [
            [
                "fields": ["_key"], "id": .string("\(name)/0"), "name": "primary", "selectivityEstimate": 1,
                "sparse": false, "type": "primary", "unique": true,
            ]
        ]
    }

    /// All documents as stored, in the order they came.
    var all: [JSON] { order.compactMap { documents[$0].map(JSON.object) } }

    mutating func store(_ document: [String: JSON], key: String, revision: String) {
        var document = document
        document["_key"] = .string(key)
        document["_id"] = .string("\(name)/\(key)")
        document["_rev"] = .string(revision)
        if documents.updateValue(document, forKey: key) == nil { order.append(key) }
    }

    mutating func remove(_ key: String) {
        documents[key] = nil
        order.removeAll { $0 == key }
    }

    mutating func truncate() {
        documents = [:]
        order = []
    }

    /// The members a management answer about a collection has.
    var properties: JSON {
        [
            "writeConcern": 1, "waitForSync": .bool(waitForSync), "usesRevisionsAsDocumentIds": true,
            "syncByRevision": true, "supportsRBAC": true, "statusString": "loaded", "id": .string(id),
            "isSmartChild": false, "schema": nil, "name": .string(name), "type": .int(Int64(type)),
            "status": 3,
            "cacheEnabled": false, "isSystem": .bool(name.hasPrefix("_")), "internalValidatorType": 0,
            "globallyUniqueId": .string("hSTANDIN/\(id)"),
            "keyOptions": ["allowUserKeys": true, "type": "traditional", "lastValue": 0],
            "computedValues": nil, "objectId": .string(id + "0"),
        ]
    }

    /// What a list of collections and a truncation tell.
    var summary: JSON {
        [
            "id": .string(id), "name": .string(name), "status": 3, "type": .int(Int64(type)),
            "isSystem": .bool(name.hasPrefix("_")), "globallyUniqueId": .string("hSTANDIN/\(id)"),
        ]
    }

    /// A string of 1 to 254 bytes out of a fixed alphabet.
    static func isLegalKey(_ key: String) -> Bool {
        (1...254).contains(key.utf8.count)
            && key.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "_-.@()+,=;$!*'%:".utf8.contains(byte)
                }
            }
    }

    /// Traditional names: a letter (or `_` for the system's own) and then letters, digits, `_`, `-`.
    static func isLegalName(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= 256 else { return false }
        func isLetter(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        }
        return (isLetter(first) || first == UInt8(ascii: "_"))
            && name.utf8.allSatisfy {
                isLetter($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || $0 == UInt8(ascii: "_")
                    || $0 == UInt8(ascii: "-")
            }
    }
}
