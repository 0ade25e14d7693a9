/// A dense matrix of doubles, row after row.
package struct Matrix: Sendable, Equatable {
    package let rows: Int
    package let columns: Int
    /// `rows * columns` numbers; row `i` is `values[i * columns ..< (i + 1) * columns]`.
    package var values: [Double]

    package init(rows: Int, columns: Int, values: [Double]) {
        precondition(rows >= 0 && columns >= 0 && values.count == rows * columns, "a matrix is rectangular")
        self.rows = rows
        self.columns = columns
        self.values = values
    }

    package init(rows: Int, columns: Int, repeating value: Double = 0) {
        self.init(rows: rows, columns: columns, values: [Double](repeating: value, count: rows * columns))
    }

    package subscript(row: Int, column: Int) -> Double {
        get { values[row * columns + column] }
        set { values[row * columns + column] = newValue }
    }

    package func row(_ index: Int) -> ArraySlice<Double> {
        values[index * columns..<(index + 1) * columns]
    }
}
