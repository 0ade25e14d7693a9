/// A snapshot as the network reads it: scaled, edges in order of their target, each node with an edge to itself.
package struct PreparedSnapshot: Sendable, Equatable {
    package var nodeCount: Int
    package var features: [Float]
    package var sources: [Int32]
    package var targets: [Int32]
    package var edgeFeatures: [Float]
    /// For each node the right class, −1 where unknown; empty when no classes are learned.
    package var classes: [Int64] = []
    /// For each node the outcome divided by its scale, NaN where unknown; empty when no returns are learned.
    package var outcomes: [Float] = []

    /// - Parameter usesEdges: false leaves each node with itself only, for the comparison without a graph.
    package init(
        _ snapshot: GraphSnapshot, scaler: ColumnScaler, edgeScaler: ColumnScaler, usesEdges: Bool = true
    ) {
        nodeCount = snapshot.symbols.count
        features = scaler.scaled(snapshot.features)
        let width = edgeScaler.names.count
        let scaled = usesEdges ? edgeScaler.scaled(snapshot.edges.features) : []
        // An edge of a node to itself would stand beside the one that every node gets.
        let used =
            usesEdges
            ? snapshot.edges.sources.indices.filter {
                snapshot.edges.sources[$0] != snapshot.edges.targets[$0]
            }
            : []
        let edges = Self.byTarget(used, snapshot.edges.targets, nodes: nodeCount)
        sources = []
        targets = []
        edgeFeatures = []
        let total = edges.count + nodeCount
        sources.reserveCapacity(total)
        targets.reserveCapacity(total)
        edgeFeatures.reserveCapacity(total * width)
        var next = 0
        for node in 0..<Int32(nodeCount) {
            let first = next
            var sums = [Float](repeating: 0, count: width)
            while next < edges.count, snapshot.edges.targets[edges[next]] == node {
                let row = scaled[edges[next] * width..<(edges[next] + 1) * width]
                sources.append(snapshot.edges.sources[edges[next]])
                targets.append(node)
                edgeFeatures.append(contentsOf: row)
                for (column, value) in row.enumerated() { sums[column] += value }
                next += 1
            }
            // The edge to itself has the mean of the features of the others, 0 where there is none.
            let count = Float(max(next - first, 1))
            sources.append(node)
            targets.append(node)
            edgeFeatures.append(contentsOf: sums.map { $0 / count })
        }
    }

    /// Edges in order of their target, otherwise as they came.
    private static func byTarget(_ edges: [Int], _ targets: [Int32], nodes: Int) -> [Int] {
        var starts = [Int](repeating: 0, count: nodes + 1)
        for edge in edges { starts[Int(targets[edge]) + 1] += 1 }
        for node in 0..<nodes { starts[node + 1] += starts[node] }
        var ordered = [Int](repeating: 0, count: edges.count)
        for edge in edges {
            ordered[starts[Int(targets[edge])]] = edge
            starts[Int(targets[edge])] += 1
        }
        return ordered
    }
}

/// Several snapshots side by side, as one graph without edges between them.
package struct GraphBatch: Sendable, Equatable {
    package var nodeCount = 0
    package var features: [Float] = []
    package var sources: [Int32] = []
    package var targets: [Int32] = []
    package var edgeFeatures: [Float] = []
    package var classes: [Int64] = []
    package var outcomes: [Float] = []
    /// For each node the number of its snapshot in this batch.
    package var parts: [Int64] = []
    package var partCount = 0

    package init(_ snapshots: some Sequence<PreparedSnapshot>) {
        for snapshot in snapshots {
            let first = Int32(nodeCount)
            features.append(contentsOf: snapshot.features)
            sources.append(contentsOf: snapshot.sources.lazy.map { $0 + first })
            targets.append(contentsOf: snapshot.targets.lazy.map { $0 + first })
            edgeFeatures.append(contentsOf: snapshot.edgeFeatures)
            classes.append(contentsOf: snapshot.classes)
            outcomes.append(contentsOf: snapshot.outcomes)
            parts.append(contentsOf: repeatElement(Int64(partCount), count: snapshot.nodeCount))
            nodeCount += snapshot.nodeCount
            partCount += 1
        }
    }

    /// Whether any node has a known outcome to learn from.
    package var isLabelled: Bool { classes.contains { $0 >= 0 } || outcomes.contains { $0.isFinite } }
}
