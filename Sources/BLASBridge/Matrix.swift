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

    /// Makes the rows, those of a large matrix side by side.
    ///
    /// - Parameter fill: given a row and its memory, which is not initialised; it must write all of it.
    package init(
        rows: Int, columns: Int, filling fill: (_ row: Int, UnsafeMutableBufferPointer<Double>) -> Void
    ) {
        let values = [Double](unsafeUninitializedCapacity: rows * columns) { memory, count in
            count = rows * columns
            sideBySide(rows, size: count) { row in
                fill(row, UnsafeMutableBufferPointer(rebasing: memory[row * columns..<(row + 1) * columns]))
            }
        }
        self.init(rows: rows, columns: columns, values: values)
    }

    package subscript(row: Int, column: Int) -> Double {
        get { values[row * columns + column] }
        set { values[row * columns + column] = newValue }
    }

    package func row(_ index: Int) -> ArraySlice<Double> {
        values[index * columns..<(index + 1) * columns]
    }

    package func row(_ index: Int, columns part: Range<Int>) -> ArraySlice<Double> {
        values[index * columns + part.lowerBound..<index * columns + part.upperBound]
    }
}
