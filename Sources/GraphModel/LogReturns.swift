import BLASBridge
import Glibc

/// The logarithmic returns of a frame: `ln(close / close before)`, NaN unless both candles are there.
package struct LogReturns: Sendable {
    /// A row a symbol; column `t` is the return of candle `t` (column 0 is always NaN).
    package let matrix: Matrix

    package init(_ frame: CandleFrame) {
        self.init(closes: frame.values(.close), symbols: frame.symbols.count, times: frame.grid.count)
    }

    /// - Parameter closes: all times of the first symbol, then those of the second …
    package init(closes: [Double], symbols: Int, times: Int) {
        precondition(closes.count == symbols * times, "all times of each symbol")
        matrix = Matrix(rows: symbols, columns: times) { row, returns in
            var before = Double.nan
            for (time, price) in closes[row * times..<(row + 1) * times].enumerated() {
                returns[time] = log(price / before)
                before = price
            }
        }
    }
}

/// The returns of those symbols that have enough of them in a window, at the times at which all of them do.
package struct AlignedReturns: Sendable {
    /// The kept symbols, by their place in the frame.
    package let symbols: [Int]
    /// The kept times, by their place in the frame; nil: all of the window.
    package let times: [Int]?
    package let report: AlignmentReport
    private let all: Matrix
    private let window: Range<Int>

    /// - Parameter window: of candle places; the return of each of them counts.
    package init(_ returns: LogReturns, window: Range<Int>, coverageMin: Double) {
        let all = returns.matrix
        var report = AlignmentReport(windowReturns: window.count)
        var kept: [Int] = []
        let coverages = [SymbolCoverage](sideBySide: all.rows, size: all.rows * window.count) { symbol in
            SymbolCoverage(all.row(symbol, columns: window), coverageMin: coverageMin)
        }
        for (symbol, coverage) in coverages.enumerated() {
            switch coverage {
            case .complete: kept.append(symbol)
            case .partial(let missing):
                kept.append(symbol)
                report.gaps[symbol] = missing
            case .excluded(let exclusion): report.excluded[symbol] = exclusion
            }
        }
        var times: [Int]?
        if kept.contains(where: { report.gaps[$0] != nil }) {
            times = window.filter { time in kept.allSatisfy { !all[$0, time].isNaN } }
        }
        report.commonReturns = times?.count ?? window.count
        symbols = kept
        self.times = times
        self.report = report
        self.all = all
        self.window = window
    }
}

extension AlignedReturns: ReturnRows {
    /// A row a kept symbol.
    package var rowCount: Int { symbols.count }
    /// A column a kept time.
    package var columnCount: Int { times?.count ?? window.count }

    package func copyRow(_ row: Int, to own: UnsafeMutableBufferPointer<Double>) {
        let values = all.row(symbols[row])
        if let times {
            for (column, time) in times.enumerated() { own[column] = values[values.startIndex + time] }
        } else {
            _ = own.initialize(fromContentsOf: all.row(symbols[row], columns: window))
        }
    }
}

/// What alignment did, for the provenance of a graph.
package struct AlignmentReport: Sendable, Equatable {
    /// Why a symbol is not in a window's graph.
    package struct Exclusion: Sendable, Equatable {
        package enum Reason: String, Sendable {
            /// It has no return in the window.
            case noData = "no_data"
            /// Its first candle is inside the window, e.g. it was listed then.
            case lateListed = "late_listed"
            /// Its last candle is inside the window.
            case endedEarly = "ended_early"
            case gaps
            /// Its price did not move: no correlation is defined.
            case constant
        }

        package var reason: Reason
        /// The share of the window's returns that it has.
        package var coverage: Double
    }

    package let windowReturns: Int
    /// Times at which all kept symbols have a return.
    package internal(set) var commonReturns = 0
    package internal(set) var excluded: [Int: Exclusion] = [:]
    /// Returns that a kept symbol lacks; the times are left out for all.
    package internal(set) var gaps: [Int: Int] = [:]
}

/// How much of a window a symbol has.
private enum SymbolCoverage {
    case complete
    case partial(missing: Int)
    case excluded(AlignmentReport.Exclusion)

    init(_ returns: ArraySlice<Double>, coverageMin: Double) {
        let missing = returns.count { $0.isNaN }
        if missing < returns.count, Self.isConstant(returns) {
            self = .excluded(.init(reason: .constant, coverage: Self.share(missing, of: returns.count)))
            return
        }
        guard missing > 0 else {
            self = .complete
            return
        }
        let coverage = Self.share(missing, of: returns.count)
        guard missing < returns.count, coverage >= coverageMin else {
            let head = returns.prefix { $0.isNaN }.count
            let tail = returns.reversed().prefix { $0.isNaN }.count
            let reason: AlignmentReport.Exclusion.Reason =
                if missing == returns.count {
                    .noData
                } else if 2 * head >= missing {
                    .lateListed
                } else if 2 * tail >= missing {
                    .endedEarly
                } else {
                    .gaps
                }
            self = .excluded(.init(reason: reason, coverage: coverage))
            return
        }
        self = .partial(missing: missing)
    }

    private static func share(_ missing: Int, of count: Int) -> Double {
        count == 0 ? 0 : Double(count - missing) / Double(count)
    }

    private static func isConstant(_ returns: ArraySlice<Double>) -> Bool {
        guard let first = returns.first(where: { !$0.isNaN }) else { return true }
        return !returns.contains { !$0.isNaN && $0 != first }
    }
}
