internal import Foundation

/// Resamples of snapshots in blocks, for confidence intervals.
///
/// Snapshots that follow each other have overlapping outcomes, so single ones may not be drawn as if they were
/// independent. Blocks of neighbours are drawn instead, around the end to the beginning (circular block bootstrap:
/// Politis, Romano 1992, after Künsch 1989); the interval is between percentiles (Efron, Tibshirani 1993).
package struct BlockBootstrap: Sendable, Equatable, Codable {
    package var resamples = 1_000
    package var level = 0.95
    package var seed: UInt64 = 1

    package init() {}

    /// As long as outcomes overlap, and at least the cube root of the number of snapshots (Hall, Horowitz, Jing
    /// 1995).
    ///
    /// - Parameter overlap: over how many snapshots the horizon goes.
    package static func blockLength(snapshots: Int, overlap: Int) -> Int {
        let root = Int(cbrt(Double(snapshots)).rounded(.up))
        return min(max(overlap, root, 1), max(snapshots, 1))
    }

    /// How often each snapshot counts in each resample.
    package func weights(snapshots: Int, blockLength: Int) -> [[Double]] {
        guard snapshots > 0, blockLength > 0 else { return [] }
        var random = SeededRandom(seed)
        return (0..<resamples).map { _ in
            var weights = [Double](repeating: 0, count: snapshots)
            var drawn = 0
            while drawn < snapshots {
                let start = Int.random(in: 0..<snapshots, using: &random)
                for place in 0..<min(blockLength, snapshots - drawn) {
                    weights[(start + place) % snapshots] += 1
                }
                drawn += blockLength
            }
            return weights
        }
    }

    /// The interval that holds the middle `level` of the statistics of the resamples.
    ///
    /// - Returns: nil when fewer than half of them are defined.
    package func interval(_ statistics: [Double?]) -> ConfidenceInterval? {
        let known = statistics.compactMap { $0 }.filter(\.isFinite).sorted()
        guard known.count * 2 >= statistics.count,
            let low = Quantiles.quantile((1 - level) / 2, ofSorted: known),
            let high = Quantiles.quantile((1 + level) / 2, ofSorted: known)
        else { return nil }
        return ConfidenceInterval(low: low, high: high)
    }
}

package struct ConfidenceInterval: Sendable, Equatable, Codable {
    package var low: Double
    package var high: Double

    package init(low: Double, high: Double) {
        self.low = low
        self.high = high
    }
}

/// Random numbers that are the same for the same seed, on every machine (Steele, Lea, Flood 2014, SplitMix64).
package struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(_ seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mixed(state)
    }

    /// A number for a purpose: runs that go on from a checkpoint need no state of a generator.
    package static func seed(_ parts: UInt64...) -> UInt64 {
        parts.reduce(0x51_7C_C1_B7_27_22_0A_95) { mixed(($0 ^ $1) &+ 0x9E37_79B9_7F4A_7C15) }
    }

    private static func mixed(_ value: UInt64) -> UInt64 {
        var value = value
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
