/// The graph of one window: symbols with their features, and the relations that were kept.
package struct GraphSnapshot: Sendable, Equatable {
    /// When the window's last candle was closed, Unix milliseconds: what the graph knows was known then.
    package let asOf: Int64
    /// When the first candle of the window opened: it gives the first return its beginning.
    package let windowStart: Int64
    package var nodes: [GraphNode]
    package var edges: [GraphEdge]
    package var report: SnapshotReport
}

package struct GraphNode: Sendable, Equatable {
    package let symbol: String
    /// In the order of ``SnapshotReport/features``; nil where the symbol's own candles do not suffice.
    package let features: [Double?]
    /// The price at the window's end; nil where the last candle is not there.
    package let close: Double?
}

package struct GraphEdge: Sendable, Hashable {
    /// Places among the nodes; of an undirected edge the one that comes first in the frame.
    package let from: Int
    package let to: Int
    package let method: GraphParameters.Method
    /// The correlation, from -1 to 1.
    package let weight: Double
    /// In candles; 0 unless the method is lead and lag.
    package let lag: Int
    /// Before any correction for many tests; nil where there is no test.
    package let pValue: Double?
}

/// What a snapshot was made of and what was left out of it.
package struct SnapshotReport: Sendable, Equatable {
    package var alignment: AlignmentReport
    /// The features that the nodes have.
    package var features: [String]
    /// Features left out of all nodes, with the reason.
    package var featuresLeftOut: [String: String]
    /// Nodes that lack a feature which others have.
    package var featuresMissing: [String: Int]
    package var methods: [MethodReport]
}

package struct MethodReport: Sendable, Equatable {
    package let method: GraphParameters.Method
    /// Pairs that were looked at; ordered ones for lead and lag.
    package var pairs: Int
    package var edges: Int
    package var shrinkage: Double?
    /// Why the method gave nothing; nil: it did what it should.
    package var problem: String?
}
