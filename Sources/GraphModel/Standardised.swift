import BLASBridge

/// Returns that are compared with each other, a row a symbol, a column a time. Not a matrix: those of a market are
/// large, and each copy costs as much as the arithmetic.
package protocol ReturnRows {
    var rowCount: Int { get }
    var columnCount: Int { get }
    /// Initialises `own`, which has a place a column.
    func copyRow(_ row: Int, to own: UnsafeMutableBufferPointer<Double>)
}

extension Matrix: ReturnRows {
    package var rowCount: Int { rows }
    package var columnCount: Int { columns }

    package func copyRow(_ row: Int, to own: UnsafeMutableBufferPointer<Double>) {
        _ = own.initialize(fromContentsOf: self.row(row))
    }
}

/// Rows shifted to mean 0 and scaled to length 1, so that the product of two of them is their correlation.
struct Standardised: Sendable {
    let matrix: Matrix

    /// A row without variance becomes zeros: it correlates with nothing.
    init(_ source: some ReturnRows) {
        self.init(source) { _ in }
    }

    /// The same for the ranks of each row.
    static func ranks(of source: some ReturnRows) -> Standardised {
        Standardised(source) { $0.replaceByRanks() }
    }

    private init(_ source: some ReturnRows, prepare: (UnsafeMutableBufferPointer<Double>) -> Void) {
        matrix = Matrix(rows: source.rowCount, columns: source.columnCount) { row, own in
            source.copyRow(row, to: own)
            prepare(own)
            own.standardise()
        }
    }
}

extension UnsafeMutableBufferPointer<Double> {
    fileprivate func standardise() {
        guard !isEmpty else { return }
        let mean = sum { $0 } / Double(count)
        for index in indices { self[index] -= mean }
        let length = sum { $0 * $0 }.squareRoot()
        let scale = length > 0 ? 1 / length : 0
        for index in indices { self[index] *= scale }
    }

    /// In four parts at a time: faster, and more exact than one long sum.
    private func sum(_ term: (Double) -> Double) -> Double {
        var parts = SIMD4<Double>(repeating: 0)
        var index = 0
        while index + 4 <= count {
            parts += SIMD4(
                term(self[index]), term(self[index + 1]), term(self[index + 2]), term(self[index + 3]))
            index += 4
        }
        var total = parts.sum()
        while index < count {
            total += term(self[index])
            index += 1
        }
        return total
    }

    /// From 1; equal values share the mean of their ranks.
    func replaceByRanks() {
        var order = enumerated().map { (value: $0.element, index: Int32($0.offset)) }
        order.sort { $0.value < $1.value }
        var start = 0
        while start < order.count {
            var end = start + 1
            while end < order.count, order[end].value == order[start].value { end += 1 }
            let rank = Double(start + 1 + end) / 2
            for place in start..<end { self[Int(order[place].index)] = rank }
            start = end
        }
    }
}
