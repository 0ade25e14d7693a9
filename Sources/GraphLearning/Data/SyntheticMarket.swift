internal import Foundation

/// A made-up market, for measurements and tests only: each node's return follows its neighbours' of the hour before,
/// so a network that sees the graph can know more than one that does not.
package struct SyntheticMarket: Sendable {
    package var nodes = 12
    package var snapshots = 240
    /// Into each node.
    package var neighbours = 3
    package var features = 4
    /// How much of a return comes from the neighbours; the rest is noise.
    package var influence = 0.8
    package var seed: UInt64 = 7
    package static let step: Int64 = 3_600_000

    package init() {}

    package func series() throws(SnapshotError) -> SnapshotSeries {
        var random = SeededRandom(seed)
        let edges = edges(&random)
        var series = try SnapshotSeries(
            columns: SnapshotColumns(
                features: (0..<features).map { "feature_\($0)" }, edgeFeatures: ["weight", "lag"]))
        var prices = [Double](repeating: 100, count: nodes)
        var returns = (0..<nodes).map { _ in normal(&random) }
        for index in 0..<snapshots {
            var values: [Float] = []
            for node in 0..<nodes {
                values.append(Float(returns[node]))
                values += (1..<max(features, 1)).map { _ in Float(normal(&random)) }
            }
            try series.append(
                GraphSnapshot(
                    time: 1_700_000_000_000 + Int64(index) * Self.step,
                    symbols: (0..<nodes).map { "S\($0)USDT" }, features: values, prices: prices, edges: edges)
            )
            returns = next(returns, edges, &random)
            for node in 0..<nodes { prices[node] *= exp(returns[node] / 100) }
        }
        return series
    }

    private func edges(_ random: inout SeededRandom) -> SnapshotEdges {
        var edges = SnapshotEdges()
        for target in 0..<nodes {
            let others = (0..<nodes).filter { $0 != target }.shuffled(using: &random)
            for source in others.prefix(neighbours) {
                edges.sources.append(Int32(source))
                edges.targets.append(Int32(target))
                edges.features += [Float.random(in: 0..<1, using: &random), Float(1)]
            }
        }
        return edges
    }

    private func next(_ returns: [Double], _ edges: SnapshotEdges, _ random: inout SeededRandom) -> [Double] {
        var sums = [Double](repeating: 0, count: nodes)
        for (source, target) in zip(edges.sources, edges.targets) {
            sums[Int(target)] += returns[Int(source)]
        }
        // Their mean: a sum would grow without end.
        let scale = Double(max(neighbours, 1))
        return sums.map {
            influence * $0 / scale + (1 - influence * influence).squareRoot() * normal(&random)
        }
    }

    /// By two even numbers (Box, Muller 1958).
    private func normal(_ random: inout SeededRandom) -> Double {
        let (a, b) = (Double.random(in: 0..<1, using: &random), Double.random(in: 0..<1, using: &random))
        return (-2 * log(1 - a)).squareRoot() * cos(2 * .pi * b)
    }
}
