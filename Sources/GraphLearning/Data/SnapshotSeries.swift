/// Snapshots in order of time, with the same columns, each checked when it comes in.
package struct SnapshotSeries: Sendable, Equatable {
    package static let snapshotsMax = 200_000
    package static let nodesMax = 5_000
    package static let edgesMax = 2_000_000
    package static let columnsMax = 256

    package let columns: SnapshotColumns
    package private(set) var snapshots: [GraphSnapshot] = []

    package var times: [Int64] { snapshots.map(\.time) }

    package init(columns: SnapshotColumns) throws(SnapshotError) {
        let names = [columns.features, columns.edgeFeatures]
        guard !columns.features.isEmpty, names.allSatisfy({ $0.count <= Self.columnsMax }) else {
            throw SnapshotError(
                time: nil,
                detail: "\(columns.features.count) features and \(columns.edgeFeatures.count) edge features; "
                    + "1...\(Self.columnsMax) and 0...\(Self.columnsMax) are possible")
        }
        guard names.allSatisfy({ Set($0).count == $0.count }) else {
            throw SnapshotError(time: nil, detail: "a name is there twice")
        }
        self.columns = columns
    }

    package init(columns: SnapshotColumns, _ snapshots: [GraphSnapshot]) throws(SnapshotError) {
        try self.init(columns: columns)
        for snapshot in snapshots { try append(snapshot) }
    }

    package mutating func append(_ snapshot: GraphSnapshot) throws(SnapshotError) {
        if let reason = fault(of: snapshot) { throw SnapshotError(time: snapshot.time, detail: reason) }
        snapshots.append(snapshot)
    }

    private func fault(of snapshot: GraphSnapshot) -> String? {
        if let last = snapshots.last, last.time >= snapshot.time {
            return "it does not come after \(last.time)"
        }
        if snapshots.count >= Self.snapshotsMax { return "more than \(Self.snapshotsMax) snapshots" }
        let nodes = snapshot.symbols.count
        guard (1...Self.nodesMax).contains(nodes) else {
            return "\(nodes) symbols; 1...\(Self.nodesMax) are possible"
        }
        guard Set(snapshot.symbols).count == nodes else { return "a symbol is there twice" }
        guard snapshot.features.count == nodes * columns.features.count else {
            return "\(snapshot.features.count) values of features, not \(nodes) × \(columns.features.count)"
        }
        guard snapshot.prices.count == nodes else { return "\(snapshot.prices.count) prices, not \(nodes)" }
        // Most snapshots share the edges of the one before: looked at once.
        if let last = snapshots.last, last.symbols.count == nodes, last.edges == snapshot.edges { return nil }
        return fault(of: snapshot.edges, nodes: nodes)
    }

    private func fault(of edges: SnapshotEdges, nodes: Int) -> String? {
        let count = edges.sources.count
        guard count <= Self.edgesMax else { return "\(count) edges; \(Self.edgesMax) are possible" }
        guard edges.targets.count == count else {
            return "\(count) sources, but \(edges.targets.count) targets"
        }
        guard edges.features.count == count * columns.edgeFeatures.count else {
            return
                "\(edges.features.count) values of edge features, not \(count) × "
                + "\(columns.edgeFeatures.count)"
        }
        let range = 0..<Int32(nodes)
        guard edges.sources.allSatisfy(range.contains), edges.targets.allSatisfy(range.contains) else {
            return "an edge has an end that is none of the \(nodes) nodes"
        }
        return nil
    }
}
