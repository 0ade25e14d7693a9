internal import Foundation

/// What became of each node after a snapshot: the logarithmic return over the horizon.
package struct Outcomes: Sendable, Equatable {
    /// For each snapshot and node; NaN where a price is missing or no snapshot is at the horizon's end.
    package let returns: [[Double]]
    /// Milliseconds.
    package let horizon: Int64

    /// - Parameter horizon: milliseconds; a snapshot must be exactly that much later.
    package init(_ series: SnapshotSeries, horizon: Int64) {
        self.horizon = horizon
        let places = Dictionary(uniqueKeysWithValues: series.times.enumerated().map { ($1, $0) })
        returns = series.snapshots.map { snapshot in
            guard let place = places[snapshot.time + horizon] else {
                return [Double](repeating: .nan, count: snapshot.symbols.count)
            }
            return Self.returns(from: snapshot, to: series.snapshots[place])
        }
    }

    private static func returns(from now: GraphSnapshot, to later: GraphSnapshot) -> [Double] {
        if now.symbols == later.symbols { return zip(now.prices, later.prices).map(logReturn) }
        let prices = Dictionary(uniqueKeysWithValues: zip(later.symbols, later.prices))
        return zip(now.symbols, now.prices).map { symbol, price in
            prices[symbol].map { logReturn(price, $0) } ?? .nan
        }
    }

    private static func logReturn(_ from: Double, _ to: Double) -> Double {
        guard from > 0, to > 0, from.isFinite, to.isFinite else { return .nan }
        return log(to / from)
    }
}

/// Where a price went over the horizon.
package enum Direction: Int64, Sendable, CaseIterable, Codable {
    case down = 0
    case flat = 1
    case up = 2

    package var name: String { ["down", "flat", "up"][Int(rawValue)] }

    /// - Parameter band: returns from −band to band are flat.
    /// - Returns: nil for an unknown return.
    package init?(_ logReturn: Double, band: Double) {
        if logReturn.isNaN { return nil }
        self = logReturn > band ? .up : logReturn < -band ? .down : .flat
    }
}

/// How the dead band of ``Direction`` is found.
package enum DeadBand: Sendable, Equatable {
    /// This logarithmic return.
    case fixed(Double)
    /// This quantile (0...1) of the absolute returns of the training part: 1/3 makes the classes about equal.
    case trainingQuantile(Double)

    /// - Parameter training: the returns of the training part; NaN do not count.
    package func width(training: [Double]) -> Double {
        switch self {
        case .fixed(let width): width
        case .trainingQuantile(let share):
            Quantiles.quantile(share, of: training.filter(\.isFinite).map(abs)) ?? 0
        }
    }
}
