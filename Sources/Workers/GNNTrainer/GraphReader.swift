import GraphLearning
import MarketData
import Workflow

/// Reads snapshots of a stored graph for a network.
package struct GraphReader: Sendable {
    /// Vertices and edges of one version that are read: about 200 bytes of memory each.
    package static let documentsMax: Int64 = 20_000_000
    private static let pageDocumentsMax = 5_000

    let store: any GraphStore
    let graph: GraphName
    /// Called after each page with the documents read so far; may throw to end it.
    var onPage: @Sendable (_ documents: Int64) throws -> Void

    package init(
        store: any GraphStore, graph: GraphName,
        onPage: @escaping @Sendable (_ documents: Int64) throws -> Void = { _ in }
    ) {
        self.store = store
        self.graph = graph
        self.onPage = onPage
    }

    /// - Parameter id: nil for the version that knows the latest candles.
    /// - Throws: ``GNNTrainerError`` `noGraph`, ``StoreError``.
    package func version(_ id: GraphVersionID?) async throws -> GraphVersion {
        let found: GraphVersion?
        do throws(StoreError) {
            if let id {
                found = try await store.version(id, of: graph)
            } else {
                found = try await store.versions(of: graph).last
            }
        } catch {
            guard error.code == .notFound else { throw error }
            found = nil
        }
        guard let found else {
            throw GNNTrainerError(
                .noGraph,
                "the graph \(graph) has no complete version\(id.map { " \($0)" } ?? ""): build it first")
        }
        return found
    }

    /// - Throws: ``GNNTrainerError`` `badDocument` when the version does not say how it was built.
    package func origin(of version: GraphVersion) throws(GNNTrainerError) -> GraphOrigin {
        let provenance = version.provenance.members ?? [:]
        guard let text = provenance["interval"]?.string, let interval = KlineInterval(keyText: text),
            let length = interval.milliseconds, let parameters = provenance["parameters"],
            case .array(let methods)? = parameters.members?["methods"],
            let canonical = try? MessageCodec.encodeText(parameters)
        else {
            throw GNNTrainerError(
                .badDocument, "\(graph.versions)/\(version.id) has no interval, or no parameters with methods"
            )
        }
        return GraphOrigin(
            intervalMilliseconds: length, interval: text, methods: methods.compactMap(\.string),
            parameters: canonical)
    }

    /// The features that any snapshot has, in the builder's order.
    package func columns(of version: GraphVersion, _ origin: GraphOrigin) async throws -> GraphColumns {
        let reports = try await store.allDocuments(
            in: graph.versions, where: [GraphDocumentKind.snapshot.member, version.id.member])
        var features: [String] = []
        for report in reports.sorted(by: { $0.key < $1.key }) {
            guard case .array(let names)? = members(report)?["features"] else {
                throw GNNTrainerError(.badDocument, "\(graph.versions)/\(report.key) names no features")
            }
            for name in names.compactMap(\.string) where !features.contains(name) { features.append(name) }
        }
        return GraphColumns(features: features, methods: origin.methods)
    }

    private func members(_ document: StoredDocument) -> [String: JSONValue]? {
        try? MessageCodec.decode(JSONValue.self, from: document.json, bytesMax: 1 << 20).members
    }

    /// All snapshots of a version.
    ///
    /// - Throws: ``GNNTrainerError``, ``StoreError``, ``SnapshotError``.
    package func series(of version: GraphVersion, _ columns: GraphColumns) async throws -> SnapshotSeries {
        guard version.vertices + version.edges <= Self.documentsMax else {
            throw GNNTrainerError(
                .tooLarge,
                "version \(version.id) of \(graph) has \(version.vertices + version.edges) vertices "
                    + "and edges, at most \(Self.documentsMax) are read: keep fewer edges or a longer stride")
        }
        let snapshots = try await snapshots(
            [version.id.member], version.id, columns, expected: (version.vertices, version.edges))
        return try SnapshotSeries(columns: columns.columns, snapshots)
    }

    /// - Throws: ``GNNTrainerError`` `noGraph` when the version has none, ``StoreError``.
    package func newest(of version: GraphVersion, _ columns: GraphColumns) async throws -> GraphSnapshot {
        guard let id = version.newest,
            let snapshot = try await snapshots(id.members, version.id, columns, expected: nil).last
        else { throw GNNTrainerError(.noGraph, "version \(version.id) of \(graph) has no snapshot") }
        return snapshot
    }

    /// - Parameter expected: how many vertices and edges the version has.
    private func snapshots(
        _ members: [DocumentMember], _ version: GraphVersionID, _ columns: GraphColumns,
        expected: (vertices: Int64, edges: Int64)?
    ) async throws -> [GraphSnapshot] {
        var assembler = SnapshotAssembler(graph, version, columns)
        let vertices = try await scan(graph.vertices, members, after: 0) { try assembler.addVertex($0) }
        let edges = try await scan(graph.edges, members, after: vertices) { try assembler.addEdge($0) }
        if let expected, vertices != expected.vertices || edges != expected.edges {
            throw GNNTrainerError(
                .incomplete,
                "version \(version) of \(graph) has \(vertices) vertices and \(edges) edges, "
                    + "not \(expected.vertices) and \(expected.edges): it is being removed, or damaged")
        }
        return assembler.snapshots()
    }

    private func scan(
        _ collection: CollectionName, _ members: [DocumentMember], after before: Int64,
        _ add: (StoredDocument) throws -> Void
    ) async throws -> Int64 {
        var count: Int64 = 0
        var after: String?
        while true {
            let page = try await store.documents(
                in: collection, where: members, after: after, limit: Self.pageDocumentsMax)
            for document in page { try add(document) }
            count += Int64(page.count)
            try onPage(before + count)
            guard page.count == Self.pageDocumentsMax, let last = page.last else { return count }
            after = last.key
        }
    }
}
