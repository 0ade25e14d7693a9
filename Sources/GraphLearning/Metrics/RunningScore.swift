/// One measure that people follow over the epochs, gathered batch by batch: balanced accuracy of directions, the
/// information coefficient of returns. Nothing is chosen by it.
package struct RunningScore: Sendable {
    private let kind: LearningTask.Kind
    private var confusion = ConfusionMatrix(classes: Direction.allCases.count)
    private var correlationSum = 0.0
    private var correlations = 0.0

    package init(_ kind: LearningTask.Kind) {
        self.kind = kind
    }

    /// The measure that it is.
    package static func metric(of kind: LearningTask.Kind) -> Metric {
        kind == .direction ? .balancedAccuracy : .informationCoefficient
    }

    /// Nodes whose outcome is not known do not count.
    ///
    /// - Parameter outputs: the network's, row by row: a score a class, or one return.
    package mutating func add(_ batch: GraphBatch, outputs: [Float]) {
        switch kind {
        case .direction:
            let width = confusion.classes
            for (node, right) in batch.classes.enumerated() where right >= 0 {
                let row = outputs[node * width..<(node + 1) * width].map { Double($0) }
                confusion.add(right: Int(right), predicted: Evaluation.mostLikely(row))
            }
        case .logReturn:
            var nodes = batch.outcomes.indices[...]
            while let first = nodes.first {
                let snapshot = nodes.prefix { batch.parts[$0] == batch.parts[first] }
                nodes = nodes.dropFirst(snapshot.count)
                let known = snapshot.filter { batch.outcomes[$0].isFinite }
                let predictions = SnapshotPredictions(
                    time: 0, symbols: [], predictedReturns: known.map { Double(outputs[$0]) },
                    returns: known.map { Double(batch.outcomes[$0]) })
                guard let coefficient = predictions.informationCoefficient else { continue }
                correlationSum += coefficient
                correlations += 1
            }
        }
    }

    /// nil when nothing was added that it is defined for.
    package var value: Double? {
        switch kind {
        case .direction: confusion.balancedAccuracy
        case .logReturn: correlations > 0 ? correlationSum / correlations : nil
        }
    }
}
