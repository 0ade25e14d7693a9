/// Cuts a series by time into training, validation and test.
///
/// A snapshot belongs to an earlier part only when its outcome was known, plus the embargo, before the next part
/// begins: outcomes that overlap the border would carry the future back (purging and embargo, López de Prado 2018,
/// chapter 7).
package struct TimeSplit: Sendable, Equatable, Codable {
    package var trainingShare = 0.6
    package var validationShare = 0.2
    /// Milliseconds beyond the horizon that are left out before each border.
    package var embargo: Int64 = 0

    package init() {}

    package struct Parts: Sendable, Equatable {
        package var training: Range<Int>
        package var validation: Range<Int>
        package var test: Range<Int>
        /// Snapshots left out at the borders.
        package var leftOut: Int
    }

    /// What is wrong with these numbers; nil when nothing is.
    package var fault: String? {
        guard trainingShare > 0, validationShare > 0, trainingShare + validationShare < 1 else {
            return
                "shares \(trainingShare) and \(validationShare): both must be above 0 and leave a rest "
                + "for the test"
        }
        return embargo < 0 ? "an embargo of \(embargo) ms: it may not be negative" : nil
    }

    /// - Parameters:
    ///   - times: rising.
    ///   - horizon: milliseconds.
    /// - Returns: nil when one of the parts would be empty.
    package func parts(times: [Int64], horizon: Int64) -> Parts? {
        guard fault == nil, !times.isEmpty else { return nil }
        let first = Int(Double(times.count) * trainingShare)
        let second = Int(Double(times.count) * (trainingShare + validationShare))
        guard first > 0, second > first, second < times.count else { return nil }
        let trainingEnd = end(before: first, times, horizon)
        let validationEnd = end(before: second, times, horizon)
        guard trainingEnd > 0, validationEnd > first else { return nil }
        return Parts(
            training: 0..<trainingEnd, validation: first..<validationEnd, test: second..<times.count,
            leftOut: (first - trainingEnd) + (second - validationEnd))
    }

    /// The end of what is known before the snapshot at `border`.
    private func end(before border: Int, _ times: [Int64], _ horizon: Int64) -> Int {
        var end = border
        while end > 0, times[end - 1] + horizon + embargo > times[border] { end -= 1 }
        return end
    }
}
