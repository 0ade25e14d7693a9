/// Symmetric positive definite systems by Cholesky's factors.
enum LinearSystem {
    /// Solves A x = b.
    ///
    /// - Parameter matrix: A by rows; only the lower triangle is read.
    /// - Returns: nil when A is not positive definite.
    static func solve(_ matrix: [Double], _ right: [Double]) -> [Double]? {
        let size = right.count
        var lower = matrix
        for row in 0..<size {
            for column in 0...row {
                var sum = lower[row * size + column]
                for inner in 0..<column { sum -= lower[row * size + inner] * lower[column * size + inner] }
                if row == column {
                    guard sum > 0 else { return nil }
                    lower[row * size + row] = sum.squareRoot()
                } else {
                    lower[row * size + column] = sum / lower[column * size + column]
                }
            }
        }
        var x = right
        for row in 0..<size {
            for inner in 0..<row { x[row] -= lower[row * size + inner] * x[inner] }
            x[row] /= lower[row * size + row]
        }
        for row in stride(from: size - 1, through: 0, by: -1) {
            for inner in (row + 1)..<max(size, row + 1) { x[row] -= lower[inner * size + row] * x[inner] }
            x[row] /= lower[row * size + row]
        }
        return x
    }
}
