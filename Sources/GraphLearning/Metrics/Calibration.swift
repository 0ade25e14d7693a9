/// How often what a model expects comes true: for each class, its probabilities in bins of equal width, and the
/// share of cases in which it was right (reliability diagram: DeGroot, Fienberg 1983).
package struct Calibration: Sendable, Equatable, Codable {
    package struct Bin: Sendable, Equatable, Codable {
        package var meanProbability: Double
        /// Of the cases in the bin, those of the class.
        package var shareRight: Double
        package var count: Int
    }

    package static let binCount = 10

    /// For each class the bins that have cases, by rising probability.
    package var bins: [[Bin]]
    /// The mean over the classes of Σ (cases of a bin / all cases) · |share − mean probability|: the classwise
    /// expected calibration error (Nixon et al. 2019).
    package var error: Double

    /// - Returns: nil where returns are predicted.
    package init?(_ predictions: [SnapshotPredictions]) {
        let probabilities = predictions.flatMap(\.probabilities)
        let right = predictions.flatMap(\.classes)
        guard let classes = probabilities.first?.count, right.count == probabilities.count else { return nil }
        bins = (0..<classes).map { kind in
            Self.bins(probabilities.map { $0[kind] }, right.map { $0 == kind })
        }
        let total = Double(right.count)
        let errors = bins.map { bins in
            bins.reduce(0) { $0 + Double($1.count) / total * abs($1.shareRight - $1.meanProbability) }
        }
        error = errors.reduce(0, +) / Double(classes)
    }

    private static func bins(_ probabilities: [Double], _ isRight: [Bool]) -> [Bin] {
        var sums = [(probability: Double, right: Double, count: Int)](
            repeating: (0, 0, 0), count: binCount)
        // A probability on an edge belongs to the bin below it.
        let edges = (1..<binCount).map { Double($0) * (1 / Double(binCount)) }
        for (probability, isRight) in zip(probabilities, isRight) {
            let place = edges.count { $0 < probability }
            sums[place].probability += probability
            sums[place].right += isRight ? 1 : 0
            sums[place].count += 1
        }
        return sums.filter { $0.count > 0 }.map {
            Bin(
                meanProbability: $0.probability / Double($0.count), shareRight: $0.right / Double($0.count),
                count: $0.count)
        }
    }
}
