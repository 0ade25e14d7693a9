/// The area under the ROC curve: how often a positive has a higher score than a negative, equals counting half
/// (Hanley, McNeil 1982). Sorted once, so that it can be asked for many weights.
package struct RankingCurve: Sendable {
    /// From the lowest score up.
    private let order: [Int]
    private let isPositive: [Bool]
    /// Whether the score at this place of the order is the same as the one before.
    private let isTied: [Bool]

    package init(scores: [Double], isPositive: [Bool]) {
        let order = scores.indices.sorted { scores[$0] < scores[$1] }
        self.order = order
        self.isPositive = isPositive
        isTied = order.indices.map { $0 > 0 && scores[order[$0]] == scores[order[$0 - 1]] }
    }

    /// - Parameter weight: how often each sample counts.
    /// - Returns: nil without a positive or without a negative.
    package func area(weight: (Int) -> Double = { _ in 1 }) -> Double? {
        var (below, wins, positives) = (0.0, 0.0, 0.0)
        // Of the scores that are the same as the current one.
        var (tiedPositive, tiedNegative) = (0.0, 0.0)
        func close() {
            wins += tiedPositive * (below + tiedNegative / 2)
            below += tiedNegative
            positives += tiedPositive
            (tiedPositive, tiedNegative) = (0, 0)
        }
        for (place, sample) in order.enumerated() {
            if !isTied[place] { close() }
            if isPositive[sample] {
                tiedPositive += weight(sample)
            } else {
                tiedNegative += weight(sample)
            }
        }
        close()
        guard positives > 0, below > 0 else { return nil }
        return wins / (positives * below)
    }
}
