/// Which of many tests hold together.
package enum MultipleTests {
    /// The largest p-value that passes; nil when none does.
    ///
    /// Benjamini and Hochberg (1995): of the p-values in rising order the last `p(k) <= k / m * alpha`, which
    /// keeps the expected share of false findings at most `alpha`. Bonferroni: `p <= alpha / m`, which keeps the
    /// chance of even one at most `alpha`.
    package static func threshold(
        _ pValues: [Double], alpha: Double, correction: GraphParameters.Correction
    ) -> Double? {
        let count = Double(pValues.count)
        switch correction {
        case .none: return pValues.filter { $0 <= alpha }.max()
        case .bonferroni: return pValues.filter { $0 * count <= alpha }.max()
        case .benjaminiHochberg:
            let sorted = pValues.sorted()
            let last = sorted.indices.last { sorted[$0] * count <= alpha * Double($0 + 1) }
            return last.map { sorted[$0] }
        }
    }
}
