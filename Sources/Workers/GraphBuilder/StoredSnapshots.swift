import Workflow

/// A snapshot whose documents are all there.
struct StoredSnapshot: Sendable, Hashable {
    var asOf: Int64
    var vertices: Int64
    var edges: Int64
}

extension GraphBuild {
    /// Those an earlier attempt has written, by their times.
    func completeSnapshots(_ id: GraphVersionID) async throws -> [Int64: StoredSnapshot] {
        let members = [GraphDocumentKind.snapshot.member, id.member]
        var found: [Int64: StoredSnapshot] = [:]
        for document in try await store.allDocuments(in: job.graph.versions, where: members) {
            let value = try? MessageCodec.decode(JSONValue.self, from: document.json, bytesMax: 1 << 20)
            guard let members = value?.members, let asOf = members["as_of"]?.integer,
                let vertices = members["vertices"]?.integer, let edges = members["edges"]?.integer
            else { throw GraphBuilderError(.incomplete, "\(job.graph.versions)/\(document.key) is damaged") }
            found[asOf] = StoredSnapshot(asOf: asOf, vertices: vertices, edges: edges)
        }
        return found
    }

    /// Removes versions that an attempt of this very instance began and left behind: the candles have changed
    /// since, so nobody would ever complete them.
    func removeLeftOvers(besides id: GraphVersionID) async throws {
        var members = [GraphDocumentKind.version.member, GraphVersionState.building.member]
        for name in ["queue_id", "step", "instance"] {
            guard let value = identity[name]?.string else { return }
            members.append(DocumentMember(name, .text(value)))
        }
        for document in try await store.allDocuments(in: job.graph.versions, where: members) {
            guard let other = GraphVersionID(document.key), other != id else { continue }
            try await store.removeVersion(other, of: job.graph)
        }
    }
}
