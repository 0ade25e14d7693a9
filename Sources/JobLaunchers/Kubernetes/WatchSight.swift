/// Whether a watch tells what happens: pure, the time is a parameter.
///
/// After an outage it tells at once what the server knows; the server itself, whose controllers stood still as well,
/// takes some seconds more to see which nodes were lost meanwhile.
package struct WatchSight: Sendable, Hashable {
    package typealias Instant = ContinuousClock.Instant

    /// A watch that was cut and opened again at once has missed nothing.
    package static let briefMax = Duration.seconds(10)
    /// How long what is told after an outage may still be old.
    package static let catchUp = Duration.seconds(15)

    private var failedAt: Instant?
    private var clearFrom: Instant?

    package init() {}

    package mutating func failed(_ now: Instant) { failedAt = failedAt ?? now }

    /// Something was told, or the watch was opened.
    package mutating func told(_ now: Instant) {
        guard let failedAt else { return }
        if now - failedAt > Self.briefMax { clearFrom = now + Self.catchUp }
        self.failedAt = nil
    }

    package func isClear(_ now: Instant) -> Bool {
        failedAt == nil && clearFrom.map { now >= $0 } ?? true
    }
}
