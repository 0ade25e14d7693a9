/// Brings each column to mean 0 and standard deviation 1, by what the training part says alone.
package struct ColumnScaler: Sendable, Equatable, Codable {
    /// Scaled values are kept within ± this many standard deviations.
    package static let deviationsMax: Double = 10

    package let names: [String]
    package let means: [Double]
    /// 1 for a column that never changes or is never known.
    package let deviations: [Double]
    /// The share of the training part's values that are unknown; those become 0, the mean.
    package let missingShares: [Double]

    /// - Parameter rows: the training part's values, each array a whole number of rows.
    package init(_ names: [String], training rows: some Sequence<[Float]>) {
        var columns = names.map { _ in RunningMoments() }
        var seen = 0
        for values in rows where !names.isEmpty {
            seen += values.count / names.count
            for (place, value) in values.enumerated() where value.isFinite {
                columns[place % names.count].add(Double(value))
            }
        }
        self.names = names
        means = columns.map(\.mean)
        deviations = columns.map { $0.deviation > 0 ? $0.deviation : 1 }
        missingShares = columns.map { seen == 0 ? 0 : 1 - Double($0.count) / Double(seen) }
    }

    /// Columns of one value only: they tell the network nothing.
    package func constant(in rows: some Sequence<[Float]>) -> [String] {
        var first = [Float?](repeating: nil, count: names.count)
        var changes = [Bool](repeating: false, count: names.count)
        for values in rows where !names.isEmpty {
            for (place, value) in values.enumerated() where value.isFinite {
                let column = place % names.count
                if let known = first[column] {
                    changes[column] = changes[column] || known != value
                } else {
                    first[column] = value
                }
            }
        }
        return zip(names, changes).filter { !$1 }.map(\.0)
    }

    package func scaled(_ values: [Float]) -> [Float] {
        guard !names.isEmpty else { return [] }
        return values.enumerated().map { place, value in
            guard value.isFinite else { return 0 }
            let column = place % names.count
            let scaled = (Double(value) - means[column]) / deviations[column]
            return Float(min(max(scaled, -Self.deviationsMax), Self.deviationsMax))
        }
    }
}

/// Mean and variance of values as they come (Welford 1962).
package struct RunningMoments: Sendable, Equatable {
    package private(set) var count = 0
    package private(set) var mean = 0.0
    private var squares = 0.0

    package init() {}

    package mutating func add(_ value: Double) {
        count += 1
        let before = value - mean
        mean += before / Double(count)
        squares += before * (value - mean)
    }

    /// Of the values themselves, not of a population they were drawn from.
    package var deviation: Double { count == 0 ? 0 : (squares / Double(count)).squareRoot() }
}
