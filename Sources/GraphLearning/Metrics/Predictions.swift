/// What a model said about the nodes of one snapshot whose outcomes are known.
package struct SnapshotPredictions: Sendable, Equatable {
    /// Milliseconds since 1970.
    package var time: Int64
    package var symbols: [String]
    /// For each node the probabilities of down, flat, up; empty when returns are predicted.
    package var probabilities: [[Double]]
    /// For each node the predicted logarithmic return; empty when classes are predicted.
    package var predictedReturns: [Double]
    /// For each node the right class; empty when returns are predicted.
    package var classes: [Int]
    /// For each node what the price did.
    package var returns: [Double]

    package init(
        time: Int64, symbols: [String], probabilities: [[Double]] = [], predictedReturns: [Double] = [],
        classes: [Int] = [], returns: [Double]
    ) {
        self.time = time
        self.symbols = symbols
        self.probabilities = probabilities
        self.predictedReturns = predictedReturns
        self.classes = classes
        self.returns = returns
    }

    /// The higher, the more the model expects of a node: p(up) − p(down), or the predicted return.
    package var scores: [Double] {
        probabilities.isEmpty ? predictedReturns : probabilities.map { $0[2] - $0[0] }
    }

    /// Spearman's correlation of scores and returns over the nodes; nil for fewer than three nodes or where all
    /// scores or all returns are the same.
    package var informationCoefficient: Double? {
        returns.count < 3 ? nil : Correlation.spearman(scores, returns)
    }
}

/// The measures of a model, by name.
package enum Metric: String, Sendable, CaseIterable, Codable, CodingKeyRepresentable {
    /// The mean of −ln p(right class), or the mean squared error of the returns.
    case loss
    case accuracy
    case balancedAccuracy = "balanced_accuracy"
    /// The mean over the classes.
    case f1
    /// The mean over the classes, each against the rest.
    case auc
    /// The mean over the snapshots of the rank correlation of scores and returns (Grinold, Kahn 1999).
    case informationCoefficient = "information_coefficient"
    /// Of returns: 1 − squared error / squared error of the training part's mean.
    case r2
}

/// A measure with what it may well be.
package struct Measured: Sendable, Equatable, Codable {
    package var value: Double
    package var interval: ConfidenceInterval?

    package init(value: Double, interval: ConfidenceInterval?) {
        self.value = value
        self.interval = interval
    }
}
