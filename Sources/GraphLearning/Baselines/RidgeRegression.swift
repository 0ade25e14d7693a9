/// Linear regression with an L2 penalty on the weights, not on the intercept.
package struct RidgeRegression: Sendable, Equatable {
    package let weights: [Double]
    package let intercept: Double

    /// Minimises Σ (y − w·x − b)² + penalty · Σ w².
    ///
    /// - Parameters:
    ///   - rows: [samples × features].
    ///   - penalty: above 0.
    package init(rows: [Float], outcomes: [Double], features: Int, penalty: Double = 1) {
        let width = features + 1
        var matrix = [Double](repeating: 0, count: width * width)
        var right = [Double](repeating: 0, count: width)
        var row = [Double](repeating: 1, count: width)
        for (index, outcome) in outcomes.enumerated() {
            for place in 0..<features { row[place] = Double(rows[index * features + place]) }
            for i in 0..<width {
                right[i] += row[i] * outcome
                for j in 0...i { matrix[i * width + j] += row[i] * row[j] }
            }
        }
        for place in 0..<features { matrix[place * width + place] += penalty }
        let solution = LinearSystem.solve(matrix, right) ?? [Double](repeating: 0, count: width)
        weights = Array(solution.prefix(features))
        intercept = solution[features]
    }

    package func prediction(_ row: ArraySlice<Float>) -> Double {
        zip(weights, row).reduce(intercept) { $0 + $1.0 * Double($1.1) }
    }
}
