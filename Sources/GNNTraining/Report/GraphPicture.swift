internal import Foundation
internal import GraphLearning

/// A snapshot: symbols around a circle, the strongest edges between them.
struct GraphPicture {
    private static let edgesMax = 400
    private static let side = 520.0
    private static let radius = 185.0
    /// More have no room.
    private static let labelsMax = 90

    let snapshot: GraphSnapshot
    /// Of an edge's row, the value that is drawn; the first one is the weight.
    let edgeColumns: Int

    var svg: String {
        var picture = SVG("Graph of \(snapshot.symbols.count) symbols", width: Self.side, height: Self.side)
        let edges = strongest()
        let largest = edges.map { abs($0.weight) }.max() ?? 1
        for edge in edges.reversed() {
            let share = largest > 0 ? abs(edge.weight) / largest : 0
            picture.line(
                place(edge.from), place(edge.to), edge.weight < 0 ? SVG.colours[1] : SVG.colours[0],
                width: 0.4 + 2 * share, opacity: 0.15 + 0.6 * share)
        }
        var degrees = [Int](repeating: 0, count: snapshot.symbols.count)
        for target in snapshot.edges.targets { degrees[Int(target)] += 1 }
        for (node, symbol) in snapshot.symbols.enumerated() {
            let spot = place(node)
            picture.circle(
                spot, radius: 3 + sqrt(Double(degrees[node])) / 2, SVG.ink,
                hint: "\(symbol): \(degrees[node]) edges in")
            if snapshot.symbols.count <= Self.labelsMax { label(&picture, node, symbol) }
        }
        return picture.text
    }

    /// Along the ray from the middle: side by side, they have room.
    private func label(_ picture: inout SVG, _ node: Int, _ symbol: String) {
        let angle = angle(node)
        let isRight = cos(angle) >= 0
        let degrees = angle * 180 / .pi
        // The text's middle line on the ray, not its foot.
        let drop = isRight ? 3.0 : -3.0
        let place = (
            Self.side / 2 + (Self.radius + 12) * cos(angle) - drop * sin(angle),
            Self.side / 2 + (Self.radius + 12) * sin(angle) + drop * cos(angle)
        )
        picture.text(
            place, symbol, isRight ? .start : .end, size: 9, degrees: isRight ? degrees : degrees + 180)
    }

    /// How many edges there are beyond those that are drawn.
    var edgesLeftOut: Int { max(pairs().count - Self.edgesMax, 0) }

    private func angle(_ node: Int) -> Double {
        2 * .pi * Double(node) / Double(max(snapshot.symbols.count, 1)) - .pi / 2
    }

    private func place(_ node: Int) -> (Double, Double) {
        let angle = angle(node)
        return (Self.side / 2 + Self.radius * cos(angle), Self.side / 2 + Self.radius * sin(angle))
    }

    private func strongest() -> [(from: Int, to: Int, weight: Double)] {
        Array(pairs().sorted { abs($0.weight) > abs($1.weight) }.prefix(Self.edgesMax))
    }

    /// An edge and its way back are one line.
    private func pairs() -> [(from: Int, to: Int, weight: Double)] {
        var seen: Set<[Int32]> = []
        var pairs: [(from: Int, to: Int, weight: Double)] = []
        for (edge, (source, target)) in zip(snapshot.edges.sources, snapshot.edges.targets).enumerated()
        where source != target && seen.insert([min(source, target), max(source, target)]).inserted {
            let weight = edgeColumns > 0 ? Double(snapshot.edges.features[edge * edgeColumns]) : 1
            pairs.append((Int(source), Int(target), weight.isFinite ? weight : 0))
        }
        return pairs
    }
}
