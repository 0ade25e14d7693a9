import MarketData
import Workflow

/// Lets the store show that it holds what an end marker counts.
struct RangeCount: Sendable {
    let store: any DocumentStore
    let collection: CollectionName
    let symbol: Symbol
    let interval: KlineInterval?

    private static let pause = Duration.milliseconds(200)

    /// Asks again for a while when there are too few: a replica may be a moment behind.
    func documents(
        of marker: EndMarker, atLeast expected: Int64, _ patience: StorePatience
    ) async throws(ConnectorError) -> Int64 {
        guard let first = marker.firstKey, let last = marker.lastKey else { return 0 }
        let range = KeyRange(
            first: first, last: last, symbol: symbol.rawValue, interval: interval?.keyText)
        let deadline = ContinuousClock.now + patience.limits.confirmWait
        while true {
            let found = try await patience.call { _ throws(StoreError) in
                try await store.count(in: collection, range: range)
            }
            if found >= expected || ContinuousClock.now >= deadline || patience.hooks.shouldStop() {
                return found
            }
            try? await Task.sleep(for: Self.pause)
        }
    }

    /// - Returns: what the final event tells of it.
    /// - Throws: ``ConnectorError`` when there are too few.
    static func verdict(
        found: Int64, expected: Int64, _ marker: EndMarker, deadLetters: Int64
    ) throws(ConnectorError) -> [String: JSONValue] {
        guard found >= expected else {
            throw ConnectorError(
                .final,
                "the store holds \(found) documents from \(marker.firstKey ?? "") to \(marker.lastKey ?? ""), "
                    + "expected at least \(expected) (\(marker.count) records, \(deadLetters) dead letters)")
        }
        var extra: [String: JSONValue] = ["documents_in_range": .integer(found)]
        if found > expected {
            extra["warning"] = .string("the range holds \(found) documents, \(expected) were expected")
        }
        return extra
    }
}
