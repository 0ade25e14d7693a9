import GraphModel
import Workflow

/// The stored form of one snapshot's vertices and edges.
struct SnapshotDocuments {
    let graph: GraphName
    let id: SnapshotID
    /// Returns in the window.
    let window: Int

    /// `features` holds a null where the symbol's own candles do not suffice.
    func vertex(_ node: GraphNode, features: [String]) -> (key: String, json: String) {
        let key = id.vertexKey(node.symbol)
        let values = zip(features, node.features).map { "\"\($0)\":\($1.map { "\($0)" } ?? "null")" }
        let json =
            "{\"_key\":\"\(key)\",\"version\":\"\(id.version)\",\"as_of\":\(id.asOf),"
            + "\"symbol\":\"\(node.symbol)\",\"close\":\(node.close.map { "\($0)" } ?? "null"),\"features\":{\(values.joined(separator: ","))}}"
        return (key, json)
    }

    func edge(_ edge: GraphEdge, _ nodes: [GraphNode]) -> (key: String, json: String) {
        let (from, to) = (nodes[edge.from].symbol, nodes[edge.to].symbol)
        let key = id.edgeKey(edge.method.rawValue, from: from, to: to)
        let pValue = edge.pValue.map { ",\"p_value\":\($0)" } ?? ""
        let json =
            "{\"_key\":\"\(key)\",\"_from\":\"\(graph.vertices)/\(id.vertexKey(from))\","
            + "\"_to\":\"\(graph.vertices)/\(id.vertexKey(to))\",\"version\":\"\(id.version)\","
            + "\"as_of\":\(id.asOf),\"method\":\"\(edge.method.rawValue)\","
            + "\"directed\":\(edge.method.isDirected),\"weight\":\(edge.weight),\"lag\":\(edge.lag),"
            + "\"window\":\(window)\(pValue)}"
        return (key, json)
    }

    /// What the snapshot was made of and what was left out of it.
    func report(_ snapshot: GraphSnapshot, symbols: [String]) -> JSONValue {
        let (report, alignment) = (snapshot.report, snapshot.report.alignment)
        let excluded = alignment.excluded.sorted { $0.key < $1.key }.map { symbol, exclusion in
            JSONValue.object([
                "symbol": .string(symbols[symbol]), "reason": .string(exclusion.reason.rawValue),
                "coverage": .number(exclusion.coverage),
            ])
        }
        let gaps = alignment.gaps.map { (symbols[$0.key], JSONValue.integer(Int64($0.value))) }
        return .object([
            "_key": .string(id.keyPrefix), "kind": .string(GraphDocumentKind.snapshot.rawValue),
            "version": .string(id.version.rawValue), "as_of": .integer(id.asOf),
            "window_start": .integer(snapshot.windowStart),
            "window_returns": .integer(Int64(alignment.windowReturns)),
            "common_returns": .integer(Int64(alignment.commonReturns)),
            "vertices": .integer(Int64(snapshot.nodes.count)),
            "edges": .integer(Int64(snapshot.edges.count)), "excluded": .array(excluded),
            "gaps": .object(Dictionary(gaps) { first, _ in first }),
            "features": .array(report.features.map { .string($0) }),
            "features_left_out": .object(report.featuresLeftOut.mapValues { .string($0) }),
            "features_missing": .object(report.featuresMissing.mapValues { .integer(Int64($0)) }),
            "methods": .array(report.methods.map(Self.method)),
        ])
    }

    private static func method(_ report: MethodReport) -> JSONValue {
        var members: [String: JSONValue] = [
            "method": .string(report.method.rawValue), "pairs": .integer(Int64(report.pairs)),
            "edges": .integer(Int64(report.edges)),
        ]
        members["shrinkage"] = report.shrinkage.map { .number($0) }
        members["problem"] = report.problem.map { .string($0) }
        return .object(members)
    }
}
