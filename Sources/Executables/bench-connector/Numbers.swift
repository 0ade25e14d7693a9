/// Median and spread of a side's rounds.
struct Spread: CustomStringConvertible {
    private let sorted: [Double]

    init(_ values: [Double]) { sorted = values.sorted() }

    var median: Double {
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    var description: String {
        "\(Int(median)) [\(Int(sorted.first ?? 0))..\(Int(sorted.last ?? 0))]"
    }
}

/// The connector's memory: the peak of each portion.
struct Memory {
    /// The first tenth of a run fills pools and caches.
    private static let warmUpShare = 10

    private(set) var max = 0.0
    /// MB per 1,000,000 candles: the steepest of the rounds' least-squares lines through the peaks.
    private(set) var growth = 0.0

    mutating func add(_ peaks: [Double], portion: Int) {
        max = Swift.max(max, peaks.max() ?? 0)
        let settled = Array(peaks.dropFirst(peaks.count / Self.warmUpShare + 2))
        guard settled.count > 1 else { return }
        let meanX = Double(settled.count - 1) / 2
        let meanY = settled.reduce(0, +) / Double(settled.count)
        var (product, square) = (0.0, 0.0)
        for (index, peak) in settled.enumerated() {
            product += (Double(index) - meanX) * (peak - meanY)
            square += (Double(index) - meanX) * (Double(index) - meanX)
        }
        growth = Swift.max(growth, product / square * 1_000_000 / Double(portion))
    }
}
