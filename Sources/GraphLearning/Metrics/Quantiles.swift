internal import Foundation

package enum Quantiles {
    /// The quantile of values by linear interpolation between neighbours (Hyndman, Fan 1996, type 7).
    ///
    /// - Parameters:
    ///   - share: 0...1.
    ///   - values: without NaN, in any order.
    /// - Returns: nil for no values.
    package static func quantile(_ share: Double, of values: [Double]) -> Double? {
        quantile(share, ofSorted: values.sorted())
    }

    package static func quantile(_ share: Double, ofSorted values: [Double]) -> Double? {
        guard let last = values.last else { return nil }
        let place = min(max(share, 0), 1) * Double(values.count - 1)
        let below = Int(place.rounded(.down))
        guard below + 1 < values.count else { return last }
        return values[below] + (place - Double(below)) * (values[below + 1] - values[below])
    }
}
