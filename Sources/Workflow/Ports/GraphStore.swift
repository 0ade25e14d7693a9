/// A document store that also keeps graphs.
///
/// A graph is a collection of vertices, one of edges and one of versions. Everything a builder writes carries
/// its version; a version is seen only when its own document says `complete`, which is one write: it appears
/// as a whole or not at all. Writes of vertices and edges are those of ``DocumentStore``, by key and safe to
/// repeat.
package protocol GraphStore: DocumentStore {
    /// Creates the graph's collections, their indexes and, where the store knows such a thing, the named graph,
    /// unless they exist.
    ///
    /// - Throws: ``StoreError``: `conflict` when there is a named graph of that name with other collections.
    func ensureGraph(_ graph: GraphName) async throws(StoreError)

    /// Documents whose members have these values, in the order of their keys.
    ///
    /// - Parameters:
    ///   - key: only those after it in the store's own order of keys; nil: from the first.
    ///   - limit: at most 10,000.
    func documents(
        in collection: CollectionName, where members: [DocumentMember], after key: String?, limit: Int
    ) async throws(StoreError) -> [StoredDocument]

    /// Counts the documents whose members have these values.
    func count(in collection: CollectionName, where members: [DocumentMember]) async throws(StoreError)
        -> Int64

    /// Removes the documents whose members have these values; a collection that is not there is fine.
    func remove(from collection: CollectionName, where members: [DocumentMember]) async throws(StoreError)
}

/// A member of a document and the value it has.
package struct DocumentMember: Sendable, Hashable {
    package enum Value: Sendable, Hashable {
        case text(String)
        case integer(Int64)
    }

    /// ASCII letters, digits and `_`.
    package let name: String
    package let value: Value

    package init(_ name: String, _ value: Value) {
        precondition(
            !name.isEmpty && name.utf8.allSatisfy { $0.isASCIILetter || $0.isASCIIDigit || $0 == 0x5f },
            "a member's name is plain")
        self.name = name
        self.value = value
    }
}

package struct StoredDocument: Sendable, Hashable {
    package let key: String
    /// Without the store's own members other than `_key`, `_from` and `_to`.
    package let json: [UInt8]

    package init(key: String, json: [UInt8]) {
        self.key = key
        self.json = json
    }
}
