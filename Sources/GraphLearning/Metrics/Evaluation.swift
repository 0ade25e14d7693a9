internal import Foundation

/// Calculates all measures of a list of predictions, for any weights of the snapshots.
///
/// What is the same for all weights is done once: a bootstrap asks a thousand times.
package struct Evaluation: Sendable {
    private struct Part: Sendable {
        var count: Double
        var confusion: ConfusionMatrix
        var lossSum: Double
        /// Of returns: the squared error of predicting the training part's mean.
        var meanErrorSum: Double
        var informationCoefficient: Double?
    }

    private let parts: [Part]
    private let curves: [RankingCurve]
    /// For each node of the curves its snapshot.
    private let snapshotOfSample: [Int]
    private let isClassification: Bool

    /// Probabilities below this count as this, as scikit-learn does it: a single 0 would make the loss infinite.
    package static let probabilityMin = Double.ulpOfOne

    /// - Parameter meanReturn: of the training part, what a model without knowledge would predict.
    package init(_ predictions: [SnapshotPredictions], meanReturn: Double = 0) {
        isClassification = predictions.contains { !$0.probabilities.isEmpty }
        let kinds = Direction.allCases.count
        parts = predictions.map { Self.part($0, kinds: kinds, meanReturn: meanReturn) }
        snapshotOfSample = predictions.enumerated().flatMap { snapshot, given in
            [Int](repeating: snapshot, count: given.classes.count)
        }
        let classes = predictions.flatMap(\.classes)
        let probabilities = predictions.flatMap(\.probabilities)
        curves =
            isClassification
            ? (0..<kinds).map { kind in
                RankingCurve(scores: probabilities.map { $0[kind] }, isPositive: classes.map { $0 == kind })
            } : []
    }

    private static func part(_ given: SnapshotPredictions, kinds: Int, meanReturn: Double) -> Part {
        var part = Part(
            count: Double(given.returns.count), confusion: ConfusionMatrix(classes: kinds), lossSum: 0,
            meanErrorSum: 0, informationCoefficient: given.informationCoefficient)
        for (right, probabilities) in zip(given.classes, given.probabilities) {
            part.confusion.add(right: right, predicted: mostLikely(probabilities))
            part.lossSum -= log(max(probabilities[right], probabilityMin))
        }
        for (predicted, actual) in zip(given.predictedReturns, given.returns) {
            part.lossSum += (predicted - actual) * (predicted - actual)
            part.meanErrorSum += (meanReturn - actual) * (meanReturn - actual)
        }
        return part
    }

    /// The first of the highest.
    package static func mostLikely(_ probabilities: [Double]) -> Int {
        probabilities.indices.reduce(0) { probabilities[$1] > probabilities[$0] ? $1 : $0 }
    }

    package var confusion: ConfusionMatrix {
        parts.reduce(into: ConfusionMatrix(classes: Direction.allCases.count)) {
            $0.add($1.confusion, weight: 1)
        }
    }

    package var metrics: [Metric] {
        isClassification
            ? [.loss, .accuracy, .balancedAccuracy, .f1, .auc, .informationCoefficient]
            : [.loss, .r2, .informationCoefficient]
    }

    /// Without a bootstrap; a measure that is not defined here, such as AUC with one class, is absent.
    package func values(weights: [Double]? = nil) -> [Metric: Double] {
        let weights = weights ?? [Double](repeating: 1, count: parts.count)
        var count = 0.0
        var lossSum = 0.0
        var meanErrorSum = 0.0
        var correlationSum = 0.0
        var correlations = 0.0
        var confusion = ConfusionMatrix(classes: Direction.allCases.count)
        for (part, weight) in zip(parts, weights) where weight > 0 {
            count += weight * part.count
            lossSum += weight * part.lossSum
            meanErrorSum += weight * part.meanErrorSum
            confusion.add(part.confusion, weight: weight)
            if let correlation = part.informationCoefficient {
                correlationSum += weight * correlation
                correlations += weight
            }
        }
        guard count > 0 else { return [:] }
        var values: [Metric: Double] = [.loss: lossSum / count]
        if correlations > 0 { values[.informationCoefficient] = correlationSum / correlations }
        if isClassification {
            values[.accuracy] = confusion.accuracy
            values[.balancedAccuracy] = confusion.balancedAccuracy
            values[.f1] = confusion.f1
            values[.auc] = area(weights)
        } else if meanErrorSum > 0 {
            values[.r2] = 1 - lossSum / meanErrorSum
        }
        return values
    }

    /// The mean over the classes that can be told apart from the rest.
    private func area(_ weights: [Double]) -> Double? {
        let areas = curves.compactMap { curve in curve.area { weights[snapshotOfSample[$0]] } }
        return areas.isEmpty ? nil : areas.reduce(0, +) / Double(areas.count)
    }
}

/// Measures of several models on the same snapshots, with intervals from the same resamples.
package struct Comparison: Sendable, Equatable {
    /// By model.
    package var measured: [String: [Metric: Measured]]
    /// By other model: the first model's measure less the other's.
    package var differences: [String: [Metric: Measured]]

    /// - Parameters:
    ///   - models: evaluations of the same snapshots; the first one is compared with the others.
    ///   - blockLength: in snapshots.
    package init(
        _ models: [(name: String, evaluation: Evaluation)], snapshots: Int, blockLength: Int,
        bootstrap: BlockBootstrap
    ) {
        let resamples = bootstrap.weights(snapshots: snapshots, blockLength: blockLength)
        let all = models.map { model in
            (
                model.name, model.evaluation.values(),
                resamples.map { model.evaluation.values(weights: $0) }
            )
        }
        measured = [:]
        differences = [:]
        for (name, values, resampled) in all {
            measured[name] = values.reduce(into: [:]) { measured, entry in
                measured[entry.key] = Measured(
                    value: entry.value, interval: bootstrap.interval(resampled.map { $0[entry.key] }))
            }
            guard let (first, own, ownResampled) = all.first, name != first else { continue }
            differences[name] = values.reduce(into: [:]) { differences, entry in
                guard let value = own[entry.key] else { return }
                let each = zip(ownResampled, resampled).map { ours, theirs -> Double? in
                    guard let a = ours[entry.key], let b = theirs[entry.key] else { return nil }
                    return a - b
                }
                differences[entry.key] = Measured(
                    value: value - entry.value, interval: bootstrap.interval(each))
            }
        }
    }
}
