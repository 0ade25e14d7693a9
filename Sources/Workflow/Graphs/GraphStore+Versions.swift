extension GraphStore {
    /// The complete versions of a graph; the one that knows the latest candles is last.
    ///
    /// - Throws: ``StoreError``: `notFound` when there is no such graph.
    package func versions(of graph: GraphName) async throws(StoreError) -> [GraphVersion] {
        let members = [GraphDocumentKind.version.member, GraphVersionState.complete.member]
        let documents = try await allDocuments(in: graph.versions, where: members)
        var versions: [GraphVersion] = []
        for document in documents { versions.append(try GraphVersion(document)) }
        return versions.sorted {
            ($0.snapshots.last ?? 0, $0.completedAt, $0.id.rawValue)
                < ($1.snapshots.last ?? 0, $1.completedAt, $1.id.rawValue)
        }
    }

    /// A complete version; nil when there is none of that name.
    package func version(_ id: GraphVersionID, of graph: GraphName) async throws(StoreError) -> GraphVersion?
    {
        let members = [
            GraphDocumentKind.version.member, id.member, GraphVersionState.complete.member,
        ]
        let found = try await documents(in: graph.versions, where: members, after: nil, limit: 1)
        return try found.first.map { document throws(StoreError) in try GraphVersion(document) }
    }

    /// Writes the document of a version or of one of its snapshots, or replaces it.
    package func writeVersionDocument(
        _ document: JSONValue, key: String, of graph: GraphName
    ) async throws(StoreError) {
        let operation = "write \(key) into \(graph.versions)"
        guard let json = try? MessageCodec.encode(document) else {
            throw StoreError(.invalid, operation: operation, detail: "it cannot be encoded")
        }
        var batch = DocumentBatch()
        batch.append(key: key.utf8, json: json)
        let outcome = try await write(batch, to: graph.versions, mode: .upsert, advance: nil) { _ in }
        if let refused = outcome.refused.first {
            throw StoreError(.invalid, operation: operation, detail: refused.reason)
        }
    }

    /// Hands over the vertices or edges of a snapshot, a page at a time, in the order of their keys.
    ///
    /// - Throws: ``StoreError`` `notFound` unless the version is complete, and what `body` throws.
    package func scan(
        _ part: GraphPart, of graph: GraphName, _ snapshot: SnapshotID, pageDocumentsMax: Int = 5_000,
        body: ([StoredDocument]) async throws -> Void
    ) async throws {
        try await checkComplete(snapshot.version, of: graph)
        let collection = part == .vertices ? graph.vertices : graph.edges
        var after: String?
        while true {
            let page = try await documents(
                in: collection, where: snapshot.members, after: after, limit: pageDocumentsMax)
            guard let last = page.last else { return }
            try await body(page)
            guard page.count == pageDocumentsMax else { return }
            after = last.key
        }
    }

    /// The edges at a symbol in a snapshot, in the order of their keys.
    ///
    /// An edge without direction has an arbitrary one in the store: ask for ``EdgeDirection/any``.
    package func edges(
        at symbol: String, in graph: GraphName, _ snapshot: SnapshotID, direction: EdgeDirection = .any
    ) async throws(StoreError) -> [StoredDocument] {
        try await checkComplete(snapshot.version, of: graph)
        let vertex = DocumentMember.Value.text("\(graph.vertices)/\(snapshot.vertexKey(symbol))")
        var found: [StoredDocument] = []
        if direction != .into {
            found += try await allDocuments(in: graph.edges, where: [DocumentMember("_from", vertex)])
        }
        if direction != .out {
            found += try await allDocuments(in: graph.edges, where: [DocumentMember("_to", vertex)])
        }
        return found.sorted { $0.key < $1.key }
    }

    /// Takes a version out of sight, then removes what belongs to it.
    package func removeVersion(_ id: GraphVersionID, of graph: GraphName) async throws(StoreError) {
        try await remove([id.rawValue], from: graph.versions)
        for collection in [graph.versions, graph.edges, graph.vertices] {
            try await remove(from: collection, where: [id.member])
        }
    }

    /// All pages of documents.
    package func allDocuments(
        in collection: CollectionName, where members: [DocumentMember]
    ) async throws(StoreError) -> [StoredDocument] {
        let limit = 5_000
        var all: [StoredDocument] = []
        while true {
            let page = try await documents(in: collection, where: members, after: all.last?.key, limit: limit)
            all += page
            if page.count < limit { return all }
        }
    }

    private func checkComplete(_ id: GraphVersionID, of graph: GraphName) async throws(StoreError) {
        guard try await version(id, of: graph) == nil else { return }
        throw StoreError(
            .notFound, operation: "read graph \(graph)", detail: "it has no complete version \(id)")
    }
}

/// One of the two collections that make a graph.
package enum GraphPart: String, Sendable, CaseIterable {
    case vertices, edges
}

extension GraphVersion {
    /// Longer than any: 500 symbols and 10,000 snapshots are about 300 KB.
    private static let bytesMax = 4 << 20

    init(_ document: StoredDocument) throws(StoreError) {
        guard
            let value = try? MessageCodec.decode(
                JSONValue.self, from: document.json, bytesMax: Self.bytesMax),
            let members = value.members,
            let id = members["version"]?.string.flatMap({ GraphVersionID($0) }),
            case .array(let times)? = members["snapshots"],
            let vertices = members["vertices"]?.integer, let edges = members["edges"]?.integer
        else {
            throw StoreError(
                .corrupt, operation: "read graph version \(document.key)", detail: "a member is missing")
        }
        self.init(
            id: id, snapshots: times.compactMap(\.integer), vertices: vertices, edges: edges,
            completedAt: members["completed_at"]?.double ?? 0, provenance: value)
    }
}
