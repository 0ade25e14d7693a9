internal import COpenBLAS

/// The matrix work that graphs need, on OpenBLAS.
///
/// All calls block: keep them off Swift's cooperative threads.
package enum BLAS {
    /// How many threads a call may use, for the whole process.
    package static func setThreads(_ count: Int) { openblas_set_num_threads(Int32(count)) }

    /// `M Mᵀ`: the products of each row with each other; both triangles are filled.
    package static func gram(_ matrix: Matrix) -> Matrix {
        var product = Matrix(rows: matrix.rows, columns: matrix.rows)
        guard matrix.rows > 0, matrix.columns > 0 else { return product }
        let (rows, columns) = (Int32(matrix.rows), Int32(matrix.columns))
        matrix.values.withUnsafeBufferPointer { source in
            product.values.withUnsafeMutableBufferPointer { target in
                cblas_dsyrk(
                    CblasRowMajor, CblasUpper, CblasNoTrans, rows, columns, 1, source.baseAddress, columns, 0,
                    target.baseAddress, rows)
            }
        }
        product.mirrorUpperTriangle()
        return product
    }

    /// `A Bᵀ`, where A has the columns of the matrix without its last `shift` and B those without its first:
    /// the products of each row with each other row `shift` columns later.
    package static func shiftedGram(_ matrix: Matrix, by shift: Int) -> Matrix {
        precondition((0...matrix.columns).contains(shift), "a shift stays inside the matrix")
        var product = Matrix(rows: matrix.rows, columns: matrix.rows)
        let width = matrix.columns - shift
        guard matrix.rows > 0, width > 0 else { return product }
        let (rows, columns) = (Int32(matrix.rows), Int32(matrix.columns))
        matrix.values.withUnsafeBufferPointer { source in
            guard let start = source.baseAddress else { return }
            product.values.withUnsafeMutableBufferPointer { target in
                cblas_dgemm(
                    CblasRowMajor, CblasNoTrans, CblasTrans, rows, rows, Int32(width), 1, start, columns,
                    start + shift, columns, 0, target.baseAddress, rows)
            }
        }
        return product
    }

    /// `A Bᵀ` of two matrices of one shape.
    package static func product(_ left: Matrix, transposed right: Matrix) -> Matrix {
        precondition(left.columns == right.columns, "rows of one length")
        var product = Matrix(rows: left.rows, columns: right.rows)
        guard left.rows > 0, right.rows > 0, left.columns > 0 else { return product }
        let columns = Int32(left.columns)
        left.values.withUnsafeBufferPointer { left in
            right.values.withUnsafeBufferPointer { right in
                product.withTarget { target, rows, width in
                    cblas_dgemm(
                        CblasRowMajor, CblasNoTrans, CblasTrans, rows, width, columns, 1, left.baseAddress,
                        columns, right.baseAddress, columns, 0, target, width)
                }
            }
        }
        return product
    }

    /// The inverse of a symmetric matrix, by Cholesky's decomposition.
    ///
    /// - Returns: nil unless the matrix is positive definite.
    package static func inverse(ofPositiveDefinite matrix: Matrix) -> Matrix? {
        precondition(matrix.rows == matrix.columns, "only a square matrix has an inverse")
        guard matrix.rows > 0 else { return matrix }
        var inverse = matrix
        var size = Int32(matrix.rows)
        var code: Int32 = 0
        // To Fortran, which counts by columns, our upper triangle is the lower one.
        var triangle = CChar(UInt8(ascii: "L"))
        inverse.values.withUnsafeMutableBufferPointer { values in
            var leading = size
            dpotrf_(&triangle, &size, values.baseAddress, &leading, &code, 1)
            if code == 0 { dpotri_(&triangle, &size, values.baseAddress, &leading, &code, 1) }
        }
        guard code == 0 else { return nil }
        inverse.mirrorUpperTriangle()
        return inverse
    }
}

extension Matrix {
    fileprivate mutating func mirrorUpperTriangle() {
        for row in 1..<max(rows, 1) {
            for column in 0..<row { self[row, column] = self[column, row] }
        }
    }

    fileprivate mutating func withTarget(
        _ body: (UnsafeMutablePointer<Double>?, _ rows: Int32, _ columns: Int32) -> Void
    ) {
        let (rows, columns) = (Int32(rows), Int32(columns))
        values.withUnsafeMutableBufferPointer { body($0.baseAddress, rows, columns) }
    }
}
