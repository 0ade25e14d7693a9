/// A graph of symbols as it was known at one moment.
package struct GraphSnapshot: Sendable, Equatable {
    /// Milliseconds since 1970; everything in the snapshot was known then.
    package var time: Int64
    /// The nodes. No two are the same.
    package var symbols: [String]
    /// [nodes × features], a row a node; NaN where a value is unknown.
    package var features: [Float]
    /// The last price of each node at `time`; NaN where unknown. Outcomes are made of later snapshots' prices;
    /// the network does not see them.
    package var prices: [Double]
    package var edges: SnapshotEdges

    package init(time: Int64, symbols: [String], features: [Float], prices: [Double], edges: SnapshotEdges) {
        self.time = time
        self.symbols = symbols
        self.features = features
        self.prices = prices
        self.edges = edges
    }
}

/// Edges by the numbers of their nodes. Snapshots may share one value: the arrays are not copied then.
package struct SnapshotEdges: Sendable, Equatable {
    package var sources: [Int32]
    package var targets: [Int32]
    /// [edges × edge features], a row an edge; NaN where a value is unknown.
    package var features: [Float]

    package init(sources: [Int32] = [], targets: [Int32] = [], features: [Float] = []) {
        self.sources = sources
        self.targets = targets
        self.features = features
    }
}

/// What the columns of all snapshots of a series mean.
package struct SnapshotColumns: Sendable, Equatable, Codable {
    package var features: [String]
    package var edgeFeatures: [String]

    package init(features: [String], edgeFeatures: [String]) {
        self.features = features
        self.edgeFeatures = edgeFeatures
    }
}

/// Where the trainer gets its snapshots from.
package struct SnapshotSource: Sendable {
    package var columns: SnapshotColumns
    /// The next snapshot in order of time; nil after the last.
    package var next: @Sendable () async throws -> GraphSnapshot?

    package init(columns: SnapshotColumns, next: @escaping @Sendable () async throws -> GraphSnapshot?) {
        self.columns = columns
        self.next = next
    }

    /// All snapshots, checked.
    ///
    /// - Throws: ``SnapshotError`` for the first that does not fit, or what the source throws.
    package func series() async throws -> SnapshotSeries {
        var series = try SnapshotSeries(columns: columns)
        while let snapshot = try await next() { try series.append(snapshot) }
        return series
    }
}

/// A snapshot that cannot be learned from.
package struct SnapshotError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Milliseconds since 1970; nil when it is the columns that are wrong.
    package var time: Int64?
    package var detail: String

    package var description: String { time.map { "snapshot at \($0): \(detail)" } ?? "columns: \(detail)" }
}
