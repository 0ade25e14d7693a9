import BLASBridge
import Dispatch
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
        var matrix = Matrix(rows: symbols, columns: times, values: closes)
        matrix.values.withUnsafeMutableBufferPointer { values in
            // Rows do not meet: each iteration writes its own only.
            nonisolated(unsafe) let values = values
            DispatchQueue.concurrentPerform(iterations: symbols) { row in
                Self.replaceByReturns(
                    UnsafeMutableBufferPointer(rebasing: values[row * times..<(row + 1) * times]))
            }
        }
        self.matrix = matrix
    }

    private static func replaceByReturns(_ prices: UnsafeMutableBufferPointer<Double>) {
        var before = Double.nan
        for index in prices.indices {
            let price = prices[index]
            prices[index] = log(price / before)
            before = price
        }
    }
}

/// The returns of those symbols that have enough of them in a window, at the times at which all of them do.
package struct AlignedReturns: Sendable {
    /// A row a kept symbol, a column a kept time.
    package let matrix: Matrix
    /// The kept symbols, by their place in the frame.
    package let symbols: [Int]
    /// The kept times, by their place in the frame; nil: all of the window.
    package let times: [Int]?
    package let report: AlignmentReport

    /// - Parameter window: of candle places; the return of each of them counts.
    package init(_ returns: LogReturns, window: Range<Int>, coverageMin: Double) {
        let all = returns.matrix
        var report = AlignmentReport(windowReturns: window.count)
        var kept: [Int] = []
        for symbol in 0..<all.rows {
            let row = all.row(symbol)
            let start = row.startIndex
            let own = row[start + window.lowerBound..<start + window.upperBound]
            switch SymbolCoverage(own, coverageMin: coverageMin) {
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
        matrix = Self.gather(all, kept, times, window)
        symbols = kept
        self.times = times
        self.report = report
    }

    private static func gather(
        _ all: Matrix, _ symbols: [Int], _ times: [Int]?, _ window: Range<Int>
    ) -> Matrix {
        let width = times?.count ?? window.count
        let values = [Double](unsafeUninitializedCapacity: symbols.count * width) { target, count in
            var next = 0
            for symbol in symbols {
                if let times {
                    for time in times {
                        target.initializeElement(at: next, to: all[symbol, time])
                        next += 1
                    }
                } else {
                    let row = all.row(symbol)
                    let start = row.startIndex + window.lowerBound
                    next = target[next...].initialize(fromContentsOf: row[start..<start + width])
                }
            }
            count = next
        }
        return Matrix(rows: symbols.count, columns: width, values: values)
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
