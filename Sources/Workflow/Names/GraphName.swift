/// A graph in the document store, e.g. `market_graph_1h`; its collections carry its name and an ending.
package struct GraphName: Sendable, Hashable, CustomStringConvertible {
    /// So that the longest of its collections' names is legal.
    package static let bytesMax = CollectionName.bytesMax - "_vertices".utf8.count
    package static let rules =
        "1 to \(bytesMax) of A-Z, a-z, 0-9, _ and -, beginning with a letter, e.g. market_graph_1h"

    package let rawValue: String
    /// Symbols, one document for each snapshot they are in.
    package let vertices: CollectionName
    /// Relations between symbols of one snapshot.
    package let edges: CollectionName
    /// What the graph's versions are made of, and which of them are complete.
    package let versions: CollectionName

    /// nil when the name breaks the rules.
    package init?(_ rawValue: String) {
        guard rawValue.utf8.count <= Self.bytesMax,
            CollectionName(rawValue) != nil,
            let vertices = CollectionName(rawValue + "_vertices"),
            let edges = CollectionName(rawValue + "_edges"),
            let versions = CollectionName(rawValue + "_versions")
        else { return nil }
        self.rawValue = rawValue
        self.vertices = vertices
        self.edges = edges
        self.versions = versions
    }

    package var description: String { rawValue }
}
