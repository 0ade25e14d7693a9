/// What may end an attempt early and yet be worth another one.
package enum FailureCause: String, Sendable, Hashable, Codable, CaseIterable {
    /// The worker said so: the other side was away, broken or busy.
    case retriable
    /// Its process ended without a word, or its heartbeats stopped.
    case lost
    /// It could not be started.
    case launchFailed = "launch_failed"
}

/// How often an instance is tried, and how long each further attempt is held back.
///
/// The wait grows from `backoffInitialSeconds` by `multiplier` with each failure, up to `backoffMaxSeconds`.
package struct RetryPolicy: Sendable, Hashable, Codable {
    /// Attempts that may fail or be lost before the instance fails.
    package var attemptsMax = PlannedStep.attemptsDefault
    package var backoffInitialSeconds = 0.25
    package var backoffMaxSeconds = 30.0
    package var multiplier = 2.0
    /// The share of a wait that chance may take away, 0 to 1: instances that failed together do not come back
    /// together.
    package var jitter = 0.5
    /// Causes that end the instance at once.
    package var finalReasons: [FailureCause] = []

    package init(attemptsMax: Int = PlannedStep.attemptsDefault) { self.attemptsMax = attemptsMax }

    package enum CodingKeys: String, CodingKey {
        case multiplier, jitter
        case attemptsMax = "attempts_max"
        case backoffInitialSeconds = "backoff_initial_seconds"
        case backoffMaxSeconds = "backoff_max_seconds"
        case finalReasons = "final_reasons"
    }

    package static let attemptsRange = 1...100
    /// The longest wait is a day.
    package static let backoffRange = 0.0...86_400
    package static let multiplierRange = 1.0...10

    /// How long to hold the next attempt back.
    ///
    /// - Parameters:
    ///   - failures: attempts that failed or were lost so far.
    ///   - draw: from 0 to 1, drawn at random by the caller: how much of ``jitter`` is taken away.
    package func delay(afterFailures failures: Int, jitter draw: Double) -> Duration {
        guard failures > 0 else { return .zero }
        let seconds = fullSeconds(afterFailures: failures) * (1 - jitter * min(max(draw, 0), 1))
        return .milliseconds(Int64(seconds * 1_000))
    }

    /// How long to hold the next attempt back after losses that do not count: a cluster that takes each attempt's
    /// machine away is not flooded with attempts. The first is followed at once.
    ///
    /// - Parameter excused: attempts that ended without counting so far.
    package static func delay(afterExcused excused: Int) -> Duration {
        guard excused > 1 else { return .zero }
        return min(.seconds(1) * (1 << min(excused - 2, 10)), excusedDelayMax)
    }

    package static let excusedDelayMax = Duration.seconds(60)

    package func isFinal(_ cause: FailureCause) -> Bool { finalReasons.contains(cause) }

    private func fullSeconds(afterFailures failures: Int) -> Double {
        var seconds = min(backoffInitialSeconds, backoffMaxSeconds)
        for _ in 1..<max(failures, 1) where seconds < backoffMaxSeconds {
            let next = min(seconds * multiplier, backoffMaxSeconds)
            if next == seconds { break }
            seconds = next
        }
        return seconds
    }
}

extension RetryPolicy {
    /// Reads the member `retry` of a step; nil when it has none.
    static func read(_ step: ObjectReader) throws(RequestError) -> RetryPolicy? {
        guard let value = step.value("retry") else { return nil }
        let keys: [CodingKeys] = [
            .attemptsMax, .backoffInitialSeconds, .backoffMaxSeconds, .multiplier, .jitter, .finalReasons,
        ]
        let reader = try ObjectReader(value, path: step.place("retry"), known: keys.map(\.rawValue))
        var policy = RetryPolicy()
        func number(
            _ key: CodingKeys, _ range: ClosedRange<Double>, _ fallback: Double
        ) throws(RequestError) -> Double {
            try reader.number(key.rawValue, in: range) ?? fallback
        }
        policy.attemptsMax =
            try reader.integer(CodingKeys.attemptsMax.rawValue, in: attemptsRange) ?? policy.attemptsMax
        policy.backoffInitialSeconds = try number(
            .backoffInitialSeconds, backoffRange, policy.backoffInitialSeconds)
        // Who asks for a longer first wait than the usual longest one means all of them.
        policy.backoffMaxSeconds = try number(
            .backoffMaxSeconds, backoffRange, max(policy.backoffMaxSeconds, policy.backoffInitialSeconds))
        policy.multiplier = try number(.multiplier, multiplierRange, policy.multiplier)
        policy.jitter = try number(.jitter, 0...1, policy.jitter)
        guard policy.backoffInitialSeconds <= policy.backoffMaxSeconds else {
            throw reader.invalid(
                CodingKeys.backoffMaxSeconds.rawValue, .number(policy.backoffMaxSeconds),
                hint: "At least backoff_initial_seconds, \(policy.backoffInitialSeconds)")
        }
        let reasons = try reader.strings(
            CodingKeys.finalReasons.rawValue, countMax: FailureCause.allCases.count)
        for (index, text) in (reasons ?? []).enumerated() {
            guard let cause = FailureCause(rawValue: text), !policy.finalReasons.contains(cause) else {
                throw reader.invalid(
                    "final_reasons[\(index)]", text, "\(text.prefix(40)) is no such reason, or there twice",
                    hint: "Some of \(FailureCause.allCases.map(\.rawValue).joined(separator: ", ")); "
                        + "what a worker calls final is final without it")
            }
            policy.finalReasons.append(cause)
        }
        return policy
    }
}
