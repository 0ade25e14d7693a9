/// Correlation of two lists of equal length.
package enum Correlation {
    /// Pearson's.
    ///
    /// - Returns: nil for fewer than two pairs or where one list never changes.
    package static func pearson(_ x: [Double], _ y: [Double]) -> Double? {
        guard x.count == y.count, x.count >= 2 else { return nil }
        let count = Double(x.count)
        let (meanX, meanY) = (x.reduce(0, +) / count, y.reduce(0, +) / count)
        var (xx, yy, xy) = (0.0, 0.0, 0.0)
        for (a, b) in zip(x, y) {
            xx += (a - meanX) * (a - meanX)
            yy += (b - meanY) * (b - meanY)
            xy += (a - meanX) * (b - meanY)
        }
        guard xx > 0, yy > 0 else { return nil }
        return min(max(xy / (xx.squareRoot() * yy.squareRoot()), -1), 1)
    }

    /// Spearman's: Pearson's of the ranks, where equals share their mean rank.
    package static func spearman(_ x: [Double], _ y: [Double]) -> Double? {
        pearson(ranks(x), ranks(y))
    }

    /// From 1; equals share their mean.
    package static func ranks(_ values: [Double]) -> [Double] {
        let order = values.indices.sorted { values[$0] < values[$1] }
        var ranks = [Double](repeating: 0, count: values.count)
        var first = 0
        while first < order.count {
            var last = first
            while last + 1 < order.count, values[order[last + 1]] == values[order[first]] { last += 1 }
            for place in first...last { ranks[order[place]] = Double(first + last) / 2 + 1 }
            first = last + 1
        }
        return ranks
    }
}
