/// How often each class was predicted for each right class; counts may be weights.
package struct ConfusionMatrix: Sendable, Equatable {
    package let classes: Int
    /// A row for each right class, a column for each predicted one.
    package private(set) var counts: [Double]

    package init(classes: Int) {
        self.classes = classes
        counts = [Double](repeating: 0, count: classes * classes)
    }

    package mutating func add(right: Int, predicted: Int, weight: Double = 1) {
        counts[right * classes + predicted] += weight
    }

    package mutating func add(_ other: ConfusionMatrix, weight: Double) {
        for place in counts.indices { counts[place] += weight * other.counts[place] }
    }

    package subscript(right: Int, predicted: Int) -> Double { counts[right * classes + predicted] }

    package var total: Double { counts.reduce(0, +) }

    /// The share of right predictions; nil without any.
    package var accuracy: Double? {
        guard total > 0 else { return nil }
        return (0..<classes).reduce(0) { $0 + self[$1, $1] } / total
    }

    /// The mean over the classes that occur of the share found of each (Brodersen et al. 2010).
    package var balancedAccuracy: Double? {
        let recalls = (0..<classes).compactMap { right -> Double? in
            let occurs = (0..<classes).reduce(0) { $0 + self[right, $1] }
            return occurs > 0 ? self[right, right] / occurs : nil
        }
        return recalls.isEmpty ? nil : recalls.reduce(0, +) / Double(recalls.count)
    }

    /// The mean over all classes of F1; 0 for one that neither occurs nor is predicted.
    package var f1: Double? {
        guard total > 0 else { return nil }
        let each = (0..<classes).map { kind -> Double in
            let occurs = (0..<classes).reduce(0) { $0 + self[kind, $1] }
            let predicted = (0..<classes).reduce(0) { $0 + self[$1, kind] }
            return occurs + predicted > 0 ? 2 * self[kind, kind] / (occurs + predicted) : 0
        }
        return each.reduce(0, +) / Double(classes)
    }
}
