internal import Foundation

/// Multinomial logistic regression with an L2 penalty on the weights, not on the intercepts.
///
/// Minimises the weighted sum of −ln p(right class) + penalty/2 · Σ w², by Newton's method.
package struct LogisticRegression: Sendable, Equatable {
    package static let iterationsMax = 60

    package let classes: Int
    package let features: Int
    /// For each class the weights of the features and the intercept.
    package private(set) var weights: [Double]
    /// Whether the steps became negligible within ``iterationsMax``.
    package private(set) var isConverged = false

    /// Rows with their right classes.
    package struct Samples: Sendable {
        package var rows: [Float]
        package var classes: [Int]
        /// One a class.
        package var classWeights: [Double]

        package init(rows: [Float], classes: [Int], classWeights: [Double]) {
            self.rows = rows
            self.classes = classes
            self.classWeights = classWeights
        }
    }

    /// - Parameter penalty: scikit-learn's 1 / C.
    package init(_ samples: Samples, classes: Int, features: Int, penalty: Double = 1) {
        self.classes = classes
        self.features = features
        weights = [Double](repeating: 0, count: classes * (features + 1))
        var value = objective(samples, weights, penalty)
        for _ in 0..<Self.iterationsMax {
            let (gradient, curvature) = derivatives(samples, penalty)
            guard let step = LinearSystem.solve(curvature, gradient) else { return }
            // Newton's step may go too far while still far away: halved until it helps.
            var (share, improved) = (1.0, false)
            while share > 1e-4, !improved {
                let trial = zip(weights, step).map { $0 - share * $1 }
                let trialValue = objective(samples, trial, penalty)
                if trialValue <= value {
                    (weights, value, improved) = (trial, trialValue, true)
                } else {
                    share /= 2
                }
            }
            if !improved || (step.map(abs).max() ?? 0) < 1e-9 {
                isConverged = true
                return
            }
        }
    }

    /// - Returns: a probability a class.
    package func probabilities(_ row: ArraySlice<Float>) -> [Double] {
        Self.softmax(scores(row, weights))
    }

    private func scores(_ row: ArraySlice<Float>, _ weights: [Double]) -> [Double] {
        (0..<classes).map { kind in
            let first = kind * (features + 1)
            var score = weights[first + features]
            var place = first
            for value in row {
                score += weights[place] * Double(value)
                place += 1
            }
            return score
        }
    }

    private static func softmax(_ scores: [Double]) -> [Double] {
        let highest = scores.max() ?? 0
        let powers = scores.map { exp($0 - highest) }
        let total = powers.reduce(0, +)
        return powers.map { $0 / total }
    }

    private func objective(_ samples: Samples, _ weights: [Double], _ penalty: Double) -> Double {
        var sum = 0.0
        for (index, right) in samples.classes.enumerated() {
            let scores = scores(samples.rows[index * features..<(index + 1) * features], weights)
            let highest = scores.max() ?? 0
            let total = scores.reduce(0) { $0 + exp($1 - highest) }
            sum += samples.classWeights[right] * (log(total) + highest - scores[right])
        }
        for (place, weight) in weights.enumerated() where place % (features + 1) != features {
            sum += penalty / 2 * weight * weight
        }
        return sum
    }

    /// The gradient, and the lower triangle of the matrix of second derivatives.
    private func derivatives(_ samples: Samples, _ penalty: Double) -> ([Double], [Double]) {
        let width = features + 1
        let size = classes * width
        var gradient = [Double](repeating: 0, count: size)
        var curvature = [Double](repeating: 0, count: size * size)
        var row = [Double](repeating: 1, count: width)
        for (index, right) in samples.classes.enumerated() {
            let values = samples.rows[index * features..<(index + 1) * features]
            for (place, value) in values.enumerated() { row[place] = Double(value) }
            let shares = probabilities(values)
            let weight = samples.classWeights[right]
            for a in 0..<classes {
                let error = weight * (shares[a] - (a == right ? 1 : 0))
                for i in 0..<width { gradient[a * width + i] += error * row[i] }
                for b in 0...a {
                    let second = weight * shares[a] * ((a == b ? 1 : 0) - shares[b])
                    for i in 0..<width {
                        let factor = second * row[i]
                        let first = (a * width + i) * size + b * width
                        for j in 0..<(a == b ? i + 1 : width) { curvature[first + j] += factor * row[j] }
                    }
                }
            }
        }
        for place in 0..<size {
            let isIntercept = place % width == features
            if !isIntercept { gradient[place] += penalty * weights[place] }
            // Adding the same to all intercepts changes nothing: a trace of a penalty makes the answer one.
            curvature[place * size + place] += isIntercept ? 1e-8 : penalty
        }
        return (gradient, curvature)
    }
}
