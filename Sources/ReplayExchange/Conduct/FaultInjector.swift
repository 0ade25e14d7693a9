import Synchronization

/// Decides, request by request, which fault an answer gets; the same seed gives the same sequence.
final class FaultInjector: Sendable {
    enum Outcome: Sendable, Equatable {
        case answer
        /// The answer's body is cut half way.
        case cutBody
        case serverError(status: Int)
        /// A storm: 429 for so many more seconds, rounded up.
        case storm(retryAfterSeconds: Int64)
    }

    struct Plan: Sendable, Equatable {
        var latency: Duration
        var outcome: Outcome
    }

    private struct State {
        var settings: FaultSettings
        var random: SeededRandom
        /// When the settings were set: storms count from here.
        var since: ContinuousClock.Instant
        /// When the next record of a symbol is due; one entry a symbol of the market.
        var dueAt: [String: ContinuousClock.Instant] = [:]
    }

    private let state: Mutex<State>

    init(settings: FaultSettings, seed: UInt64, now: ContinuousClock.Instant = .now) {
        state = Mutex(State(settings: settings, random: SeededRandom(seed: seed), since: now))
    }

    var settings: FaultSettings { state.withLock { $0.settings } }

    func update(_ settings: FaultSettings, now: ContinuousClock.Instant = .now) {
        state.withLock { state in
            state.settings = settings
            state.since = now
            state.dueAt = [:]
        }
    }

    /// The plan for the next request. Draws the same number of random values whatever is set.
    func plan(now: ContinuousClock.Instant = .now) -> Plan {
        state.withLock { state in
            let settings = state.settings
            let isError = state.random.chance(settings.serverErrorShare)
            let isCut = state.random.chance(settings.cutBodyShare)
            let status = [500, 502, 503, 504][Int(state.random.next(below: 4))]
            let latency = Duration.milliseconds(settings.latencyMilliseconds)
            if let rest = Self.stormRest(settings, since: state.since, now: now) {
                return Plan(latency: latency, outcome: .storm(retryAfterSeconds: rest))
            }
            if isError { return Plan(latency: latency, outcome: .serverError(status: status)) }
            return Plan(latency: latency, outcome: isCut ? .cutBody : .answer)
        }
    }

    /// What a request for a file meets besides its ``plan(now:)``; drawn only for files.
    func archivePlan() -> (isMissing: Bool, isDamaged: Bool) {
        state.withLock { state in
            (
                state.random.chance(state.settings.archiveMissingShare),
                state.random.chance(state.settings.archiveDamageShare)
            )
        }
    }

    /// How long an answer with `recordCount` records of `symbol` has to wait for its pace.
    func delay(for symbol: String, recordCount: Int, now: ContinuousClock.Instant = .now) -> Duration {
        state.withLock { state in
            let pace = state.settings.paceRecordsPerSecond
            guard pace > 0, recordCount > 0 else { return .zero }
            let due = max(state.dueAt[symbol] ?? now, now)
            let next = due + .seconds(Double(recordCount) / pace)
            state.dueAt[symbol] = next
            return next - now
        }
    }

    func holes(of symbol: String) -> [Range<Int64>] {
        state.withLock { state in
            state.settings.holes.filter { $0.symbol == symbol }.map { $0.from..<$0.to }
        }
    }

    /// Whole seconds until the storm is over, rounded up; nil between storms. The calm comes first.
    private static func stormRest(
        _ settings: FaultSettings, since: ContinuousClock.Instant, now: ContinuousClock.Instant
    ) -> Int64? {
        guard settings.stormSeconds > 0 else { return nil }
        let elapsed = (now - since) / .seconds(1)
        let phase = elapsed.truncatingRemainder(dividingBy: settings.stormEverySeconds)
        guard phase >= settings.stormEverySeconds - settings.stormSeconds else { return nil }
        return max(1, Int64((settings.stormEverySeconds - phase).rounded(.up)))
    }
}
