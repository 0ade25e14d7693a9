/// Round trips of pings: how many were answered, and the least, the middle and the most.
package struct RoundTrips: Sendable, Equatable {
    package private(set) var sent = 0
    package private(set) var answered = 0
    private var all: [Duration] = []

    package init() {}

    /// - Parameter answers: the times of one ping's answers; none when nobody answered.
    package mutating func add(_ answers: [Duration]) {
        sent += 1
        if !answers.isEmpty { answered += 1 }
        all += answers
    }

    package var isComplete: Bool { sent > 0 && answered == sent }

    /// nil when nobody answered at all.
    package var spread: (least: Duration, median: Duration, most: Duration)? {
        let sorted = all.sorted()
        guard let least = sorted.first, let most = sorted.last else { return nil }
        let upper = sorted[sorted.count / 2]
        let median = sorted.count.isMultiple(of: 2) ? (sorted[sorted.count / 2 - 1] + upper) / 2 : upper
        return (least, median, most)
    }
}
