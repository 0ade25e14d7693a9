import GraphLearning

/// How a stored graph becomes columns of numbers.
///
/// Features are those of the vertices, by their names. An edge has its weight; where the graph has edges by
/// several methods, a column for each of them says which one it is by; where one is lead and lag, its lag.
package struct GraphColumns: Sendable, Equatable {
    static let leadLag = "lead_lag"

    let features: [String]
    /// What edges measure, as the builder's parameters name it.
    let methods: [String]
    package let columns: SnapshotColumns

    init(features: [String], methods: [String]) {
        self.features = features
        self.methods = methods
        var edgeFeatures = ["weight"]
        if methods.contains(Self.leadLag) { edgeFeatures.append("lag") }
        if methods.count > 1 { edgeFeatures += methods.map { "is_\($0)" } }
        columns = SnapshotColumns(features: features, edgeFeatures: edgeFeatures)
    }

    /// Unknown features are NaN.
    func row(_ vertex: StoredVertex) -> [Float] {
        features.map { name in vertex.features[name].flatMap { $0 }.map { Float($0) } ?? .nan }
    }

    func row(_ edge: StoredEdge) -> [Float] {
        var row = [Float(edge.weight)]
        if methods.contains(Self.leadLag) { row.append(Float(edge.lag)) }
        if methods.count > 1 { row += methods.map { $0 == edge.method ? 1 : 0 } }
        return row
    }
}

/// A vertex as the graph-builder stores it.
struct StoredVertex: Decodable, Sendable {
    var asOf: Int64
    var symbol: String
    var features: [String: Double?]
    /// The last price; what becomes of it is what is learned.
    var close: Double?

    enum CodingKeys: String, CodingKey {
        case symbol, features, close
        case asOf = "as_of"
    }
}

/// An edge as the graph-builder stores it.
struct StoredEdge: Decodable, Sendable {
    /// `<collection>/<key>` of a vertex.
    var from: String
    var to: String
    var asOf: Int64
    var method: String
    var directed: Bool
    var weight: Double
    /// Candles.
    var lag: Int

    enum CodingKeys: String, CodingKey {
        case method, directed, weight, lag
        case from = "_from"
        case to = "_to"
        case asOf = "as_of"
    }
}

/// What a version of a graph says about itself, as far as a model must know it.
package struct GraphOrigin: Sendable, Equatable {
    package var intervalMilliseconds: Int64
    /// As in keys, e.g. `1h`.
    package var interval: String
    package var methods: [String]
    /// All parameters of the builder as one text: graphs with the same mean the same by their columns.
    package var parameters: String
}
