import BLASBridge

/// Correlations of symbols with each other, symmetric.
package struct CorrelationMatrix: Sendable {
    package let weights: Matrix
    /// Degrees of freedom of the t test; not above 0: there is none.
    package let degreesOfFreedom: Int
    /// Of partial correlation: how much was shrunk towards none, from 0 to 1.
    package var shrinkage: Double?

    init(weights: Matrix, degreesOfFreedom: Int, shrinkage: Double? = nil) {
        var weights = weights
        for index in weights.values.indices { weights.values[index] = min(max(weights.values[index], -1), 1) }
        self.weights = weights
        self.degreesOfFreedom = degreesOfFreedom
        self.shrinkage = shrinkage
    }

    package static func pearson(_ returns: some ReturnRows) -> CorrelationMatrix {
        CorrelationMatrix(
            weights: BLAS.gram(Standardised(returns).matrix), degreesOfFreedom: returns.columnCount - 2)
    }

    /// Pearson's correlation of the ranks; equal values share the mean of their ranks.
    package static func spearman(_ returns: some ReturnRows) -> CorrelationMatrix {
        CorrelationMatrix(
            weights: BLAS.gram(Standardised.ranks(of: returns).matrix),
            degreesOfFreedom: returns.columnCount - 2)
    }

    /// The correlation of two symbols with all others held fixed, from the inverse of the shrunk correlation
    /// matrix (Schäfer and Strimmer 2005: target "D", correlations towards 0, the weight of the target
    /// estimated from the data).
    ///
    /// - Returns: nil when the matrix cannot be inverted: without any shrinkage, when returns depend on each other.
    package static func partial(_ returns: some ReturnRows) -> CorrelationMatrix? {
        let standardised = Standardised(returns).matrix
        var shrunk = BLAS.gram(standardised)
        let shrinkage = shrinkageIntensity(standardised, correlations: shrunk)
        for row in 0..<shrunk.rows {
            for column in 0..<shrunk.columns {
                shrunk[row, column] = row == column ? 1 : shrunk[row, column] * (1 - shrinkage)
            }
        }
        guard let inverse = BLAS.inverse(ofPositiveDefinite: shrunk) else { return nil }
        var weights = Matrix(rows: shrunk.rows, columns: shrunk.columns)
        for row in 0..<shrunk.rows {
            for column in 0..<shrunk.columns {
                let scale = (inverse[row, row] * inverse[column, column]).squareRoot()
                weights[row, column] = row == column ? 1 : -inverse[row, column] / scale
            }
        }
        return CorrelationMatrix(
            weights: weights, degreesOfFreedom: returns.columnCount - returns.rowCount, shrinkage: shrinkage)
    }

    /// The estimated variance of all correlations over the sum of their squares, at most 1.
    private static func shrinkageIntensity(_ rows: Matrix, correlations: Matrix) -> Double {
        let count = Double(rows.columns)
        guard rows.rows > 1, count > 1 else { return 1 }
        var squares = rows
        for index in squares.values.indices { squares.values[index] *= squares.values[index] }
        let products = BLAS.gram(squares)
        var (variance, signal) = (0.0, 0.0)
        for row in 0..<rows.rows {
            for column in 0..<row {
                let correlation = correlations[row, column]
                // Of w = x y with x, y of variance 1: Σ (w - mean)² = (n - 1)² (Σ z² z² - r² / n).
                variance += (products[row, column] - correlation * correlation / count) * count / (count - 1)
                signal += correlation * correlation
            }
        }
        return signal > 0 ? min(max(variance / signal, 0), 1) : 1
    }
}

/// For each ordered pair of symbols how the first one's return goes with the second one's later, at that lag
/// where it does most.
package struct LeadLagMatrix: Sendable {
    /// Row: the symbol that leads; column: the one that follows.
    package let weights: Matrix
    /// In candles, from 1; 0 where there was nothing to compare.
    package let lags: [Int]
    /// Of each lag, from 1: the pairs of returns that were compared.
    package let pairCounts: [Int]

    /// - Parameters:
    ///   - times: the place in time of each column; nil: they follow one another.
    ///   - lagMax: at least 1.
    package init(_ returns: some ReturnRows, times: [Int]?, lagMax: Int) {
        let size = returns.rowCount
        var weights = Matrix(rows: size, columns: size)
        var lags = [Int](repeating: 0, count: size * size)
        var pairCounts: [Int] = []
        let centred = Standardised(returns).matrix
        for lag in 1...max(lagMax, 1) {
            let part = LaggedPart(centred, times: times, lag: lag)
            pairCounts.append(part.count)
            guard part.count >= GraphParameters.rowsMin else { continue }
            let correlations = part.correlations()
            for index in correlations.values.indices
            where abs(correlations.values[index]) > abs(weights.values[index]) {
                weights.values[index] = correlations.values[index]
                lags[index] = lag
            }
        }
        self.weights = weights
        self.lags = lags
        self.pairCounts = pairCounts
    }
}

/// The returns that have one `lag` candles later, and those later ones.
private struct LaggedPart {
    let earlier: Matrix
    /// nil: the columns of `earlier`, `lag` further.
    let later: Matrix?
    let lag: Int

    init(_ rows: Matrix, times: [Int]?, lag: Int) {
        self.lag = lag
        guard let times else {
            earlier = rows
            later = nil
            return
        }
        let places = Dictionary(times.enumerated().map { ($0.element, $0.offset) }) { first, _ in first }
        let pairs = times.enumerated().compactMap { place, time in
            places[time + lag].map { (place, $0) }
        }
        earlier = rows.selecting(pairs.map(\.0))
        later = rows.selecting(pairs.map(\.1))
    }

    var count: Int { later?.columns ?? max(earlier.columns - lag, 0) }

    /// Rows are near mean 0 and length 1 as a whole, so little is lost by taking away the part's own means.
    func correlations() -> Matrix {
        let number = Double(count)
        var products: Matrix
        let (first, second): ([RowSums], [RowSums])
        if let later {
            products = BLAS.product(earlier, transposed: later)
            first = (0..<earlier.rows).map { RowSums(earlier.row($0)) }
            second = (0..<later.rows).map { RowSums(later.row($0)) }
        } else {
            products = BLAS.shiftedGram(earlier, by: lag)
            first = (0..<earlier.rows).map { RowSums(earlier.row($0).dropLast(lag)) }
            second = (0..<earlier.rows).map { RowSums(earlier.row($0).dropFirst(lag)) }
        }
        for row in 0..<products.rows {
            for column in 0..<products.columns {
                let scale = first[row].length(number) * second[column].length(number)
                let covariance = products[row, column] - first[row].sum * second[column].sum / number
                products[row, column] = scale > 0 ? min(max(covariance / scale, -1), 1) : 0
            }
        }
        return products
    }
}

private struct RowSums {
    var sum = 0.0
    var squares = 0.0

    init(_ values: ArraySlice<Double>) {
        for value in values {
            sum += value
            squares += value * value
        }
    }

    /// The length of the row without its mean.
    func length(_ count: Double) -> Double { max(squares - sum * sum / count, 0).squareRoot() }
}

extension Matrix {
    func selecting(_ places: [Int]) -> Matrix {
        let values = (0..<rows).flatMap { row in places.map { self[row, $0] } }
        return Matrix(rows: rows, columns: places.count, values: values)
    }
}
