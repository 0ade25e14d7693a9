import Glibc

/// How likely a correlation at least so strong is by chance, when there is none (two-sided t test).
package struct CorrelationTest: Sendable {
    private let shape: Double
    /// `ln (a B(a, 1/2))` for `a` half the degrees of freedom.
    private let logScale: Double
    private let logScaleOfOther: Double

    /// - Parameter degreesOfFreedom: at least 1.
    package init?(degreesOfFreedom: Int) {
        guard degreesOfFreedom >= 1 else { return nil }
        shape = Double(degreesOfFreedom) / 2
        let logBeta = logGamma(shape) + logGamma(0.5) - logGamma(shape + 0.5)
        logScale = logBeta + log(shape)
        logScaleOfOther = logBeta + log(0.5)
    }

    /// The regularised incomplete beta function at `1 - r²` with `a = df / 2` and `b = 1/2` (DLMF 8.17).
    package func pValue(_ correlation: Double) -> Double {
        let square = correlation * correlation
        guard square < 1 else { return 0 }
        guard square > 0 else { return 1 }
        let point = 1 - square
        let logPower = shape * log1p(-square) + 0.5 * log(square)
        // Each side of the mean has a fraction that converges fast.
        if point < (shape + 1) / (shape + 2.5) {
            return min(1, exp(logPower - logScale) * betaFraction(point, shape, 0.5))
        }
        return max(0, 1 - exp(logPower - logScaleOfOther) * betaFraction(square, 0.5, shape))
    }
}

private func logGamma(_ value: Double) -> Double {
    var sign: Int32 = 0
    return lgamma_r(value, &sign)
}

/// The continued fraction of the incomplete beta function (DLMF 8.17.22), evaluated forwards by the
/// recurrence of its convergents, rescaled so that they stay in range.
private func betaFraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
    let termsMax = 20_000
    var (numerator, numeratorBefore) = (1.0, 1.0)
    var (denominator, denominatorBefore) = (1 - (a + b) * x / (a + 1), 1.0)
    var value = numerator / denominator
    func advance(_ coefficient: Double) {
        (numerator, numeratorBefore) = (numerator + coefficient * numeratorBefore, numerator)
        (denominator, denominatorBefore) = (denominator + coefficient * denominatorBefore, denominator)
        guard denominator != 0 else { return }
        let scale = 1 / denominator
        numerator *= scale
        numeratorBefore *= scale
        denominatorBefore *= scale
        denominator = 1
    }
    for term in 1...termsMax {
        let m = Double(term)
        advance(m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)))
        advance(-(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)))
        let next = numerator / denominator
        if abs(next - value) <= 1e-15 * abs(next) { return next }
        value = next
    }
    return value
}
