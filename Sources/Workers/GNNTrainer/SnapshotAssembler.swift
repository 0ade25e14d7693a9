import GraphLearning
import Workflow

/// Puts the stored vertices and edges of a graph's version together to snapshots.
///
/// Vertices of a snapshot come before its edges. An edge without direction becomes two: what moves together
/// tells of one another.
struct SnapshotAssembler {
    fileprivate struct Draft {
        var symbols: [String] = []
        var places: [Substring: Int32] = [:]
        var features: [Float] = []
        var prices: [Double] = []
        var edges = SnapshotEdges()
    }

    private let graph: GraphName
    private let version: GraphVersionID
    private let columns: GraphColumns
    private var drafts: [Int64: Draft] = [:]

    init(_ graph: GraphName, _ version: GraphVersionID, _ columns: GraphColumns) {
        self.graph = graph
        self.version = version
        self.columns = columns
    }

    /// - Throws: ``GNNTrainerError`` `badDocument`.
    mutating func addVertex(_ document: StoredDocument) throws(GNNTrainerError) {
        let vertex: StoredVertex = try decoded(document, of: graph.vertices)
        drafts[vertex.asOf, default: Draft()].add(vertex, columns.row(vertex))
    }

    /// - Throws: ``GNNTrainerError`` `badDocument`; an end that is none of the vertices is one.
    mutating func addEdge(_ document: StoredDocument) throws(GNNTrainerError) {
        let edge: StoredEdge = try decoded(document, of: graph.edges)
        let prefix = "\(graph.vertices)/\(SnapshotID(version: version, asOf: edge.asOf).keyPrefix)-"
        guard let draft = drafts[edge.asOf], let from = draft.place(edge.from, prefix),
            let to = draft.place(edge.to, prefix)
        else {
            throw GNNTrainerError(
                .badDocument,
                "\(graph.edges)/\(document.key) joins \(edge.from) and \(edge.to), "
                    + "which are not both vertices of its snapshot")
        }
        let row = columns.row(edge)
        drafts[edge.asOf]?.edges.add(from, to, row)
        if !edge.directed { drafts[edge.asOf]?.edges.add(to, from, row) }
    }

    /// All snapshots, by time.
    func snapshots() -> [GraphSnapshot] {
        drafts.sorted { $0.key < $1.key }.map { time, draft in
            GraphSnapshot(
                time: time, symbols: draft.symbols, features: draft.features, prices: draft.prices,
                edges: draft.edges)
        }
    }

    private func decoded<Value: Decodable>(
        _ document: StoredDocument, of collection: CollectionName
    ) throws(GNNTrainerError) -> Value {
        do throws(MessageError) {
            return try MessageCodec.decode(Value.self, from: document.json)
        } catch {
            throw GNNTrainerError(.badDocument, "\(collection)/\(document.key) is none of a graph: \(error)")
        }
    }
}

extension SnapshotAssembler.Draft {
    fileprivate mutating func add(_ vertex: StoredVertex, _ row: [Float]) {
        places[vertex.symbol[...]] = Int32(symbols.count)
        symbols.append(vertex.symbol)
        features += row
        prices.append(vertex.close ?? .nan)
    }

    fileprivate func place(_ end: String, _ prefix: String) -> Int32? {
        end.hasPrefix(prefix) ? places[end.dropFirst(prefix.count)] : nil
    }
}

extension SnapshotEdges {
    fileprivate mutating func add(_ source: Int32, _ target: Int32, _ row: [Float]) {
        sources.append(source)
        targets.append(target)
        features += row
    }
}
