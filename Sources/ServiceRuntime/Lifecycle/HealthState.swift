import Synchronization

/// What the health probes answer: three questions, each with the reasons for a no.
///
/// *startup*: has the program begun its work. *ready*: can it do its work now (its broker and stores answer).
/// *live*: do its loops still turn; a no means that only a restart helps.
package final class HealthState: Sendable {
    package enum Probe: String, Sendable, CaseIterable {
        case startup, ready, live
    }

    package struct Report: Sendable, Equatable {
        package var isOK: Bool { reasons.isEmpty }
        /// One a problem, in alphabetical order.
        package var reasons: [String]
    }

    private struct Heartbeat {
        var limit: Duration
        var last: ContinuousClock.Instant
    }

    private struct State {
        var hasStarted = false
        /// The reason for a no, by the part of the program it is about.
        var notReady: [String: String] = [:]
        var heartbeats: [String: Heartbeat] = [:]
    }

    private let state = Mutex(State())
    private let now: @Sendable () -> ContinuousClock.Instant

    package init(now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }) {
        self.now = now
    }

    /// Startup is over, for good.
    package func markStarted() { state.withLock { $0.hasStarted = true } }

    /// - Parameters:
    ///   - part: e.g. `kafka`, `store`; a part that was never named is ready.
    ///   - problem: nil when it is ready; shown to people, so no secrets.
    package func setReady(_ part: String, problem: String? = nil) {
        state.withLock { $0.notReady[part] = problem }
    }

    /// A loop turned. It counts as hung when it does not turn again within the limit.
    package func beat(_ loop: String, limit: Duration) {
        let last = now()
        state.withLock { $0.heartbeats[loop] = Heartbeat(limit: limit, last: last) }
    }

    /// A loop ended as it should.
    package func endBeat(_ loop: String) {
        state.withLock { $0.heartbeats[loop] = nil }
    }

    package func report(_ probe: Probe) -> Report {
        let now = now()
        let reasons = state.withLock { state in
            switch probe {
            case .startup: state.hasStarted ? [] : ["still starting"]
            case .ready:
                (state.hasStarted ? [] : ["still starting"]) + state.notReady.map { "\($0.key): \($0.value)" }
            case .live:
                state.heartbeats.filter { now - $0.value.last > $0.value.limit }.map {
                    "\($0.key): no sign of life for \((now - $0.value.last).components.seconds) s"
                }
            }
        }
        return Report(reasons: reasons.sorted())
    }
}
