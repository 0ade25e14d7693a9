/// The life of one instance over its attempts: event in, answer out, no clock and no I/O.
///
/// ```
/// waiting ─launch─► starting ─started─► running ─finished─► finished
///    ▲                  │                  │
///    └──── retry ◄──────┴── lost, error ───┘──► failed (final, or attempts used up)
/// waiting ─cancel─► interrupted      starting/running while unwanted ─end─► interrupted
/// ```
package struct InstanceMachine: Sendable, Hashable {
    package enum State: String, Sendable, Hashable, Codable, CaseIterable {
        case waiting, starting, running, finished, failed, interrupted, skipped

        /// Never left again within a run of the queue, see ``InstanceMachine/runAgain()``.
        package var isFinal: Bool {
            switch self {
            case .waiting, .starting, .running: false
            case .finished, .failed, .interrupted, .skipped: true
            }
        }
        package var hasLiveAttempt: Bool { self == .starting || self == .running }
    }

    package enum Input: Sendable, Hashable {
        /// The engine creates the next attempt.
        case launch
        /// The attempt's job is there and does not run yet.
        case held(attempt: Int, reason: String)
        /// The attempt's `started` or `loading` event.
        case alive(attempt: Int)
        case finished(attempt: Int)
        /// The attempt ended early in good order: stop, SIGTERM, eviction.
        case interrupted(attempt: Int)
        case failed(attempt: Int, isRetriable: Bool, reason: String)
        /// The attempt's process is gone, or its lease ran out, without a final event.
        case lost(attempt: Int, countsAsFailure: Bool, reason: String)
        /// The queue does not want the instance any more: it was stopped, or its input failed.
        case cancel(reason: String)
        /// A step it comes after did not finish.
        case skip(reason: String)
    }

    package enum Answer: Sendable, Hashable {
        /// Late, doubled, or meant for another attempt: nothing changed.
        case ignore
        case changed
        /// Waiting again; `failures` says how long to hold the next attempt back.
        case retry(failures: Int)
        case ended
    }

    package private(set) var state: State
    /// The number of the newest attempt; 0 before the first.
    package private(set) var attempt: Int
    /// The newest attempt of earlier runs of the queue; 0 in the first.
    package private(set) var attemptsBefore: Int
    /// Attempts that failed or were lost; interruptions do not count.
    package private(set) var failures: Int
    /// False after `cancel`: an attempt that ends then is not followed by another.
    package private(set) var isWanted: Bool
    /// Why the instance is in its state, for people.
    package private(set) var reason: String?
    package let attemptsMax: Int

    package init(
        state: State = .waiting, attempt: Int = 0, attemptsBefore: Int = 0, failures: Int = 0,
        isWanted: Bool = true, reason: String? = nil, attemptsMax: Int
    ) {
        self.state = state
        self.attempt = attempt
        self.attemptsBefore = attemptsBefore
        self.failures = failures
        self.isWanted = isWanted
        self.reason = reason
        self.attemptsMax = attemptsMax
    }

    package mutating func apply(_ input: Input) -> Answer {
        guard !state.isFinal else { return .ignore }
        switch input {
        case .launch:
            guard state == .waiting, isWanted else { return .ignore }
            attempt += 1
            state = .starting
            reason = nil
            return .changed
        case .held(let number, let why):
            guard isCurrent(number), state == .starting, isWanted, reason != why else { return .ignore }
            reason = why
            return .changed
        case .alive(let number):
            guard isCurrent(number), state == .starting else { return .ignore }
            state = .running
            // Why it was held; one that is not wanted keeps its reason for that.
            if isWanted { reason = nil }
            return .changed
        case .finished(let number):
            guard isCurrent(number) else { return .ignore }
            return end(.finished, reason: nil)
        case .interrupted(let number):
            guard isCurrent(number) else { return .ignore }
            return isWanted ? waitAgain(reason: "interrupted") : end(.interrupted, reason: reason)
        case .failed(let number, let isRetriable, let why):
            guard isCurrent(number) else { return .ignore }
            return attemptFailed(reason: why, isRetriable: isRetriable)
        case .lost(let number, let countsAsFailure, let why):
            guard isCurrent(number) else { return .ignore }
            guard countsAsFailure else {
                return isWanted ? waitAgain(reason: why) : end(.interrupted, reason: reason)
            }
            return attemptFailed(reason: why, isRetriable: true)
        case .cancel(let why):
            return cancel(reason: why)
        case .skip(let why):
            guard state == .waiting, !hasBegun else { return .ignore }
            return end(.skipped, reason: why)
        }
    }

    /// Whether it has had an attempt in this run of its queue.
    package var hasBegun: Bool { attempt > attemptsBefore }

    /// Attempts of this run that ended without counting as failures.
    package var excusedCount: Int { max(attempt - attemptsBefore - failures, 0) }

    /// A new run of its queue wants it: it waits as at first, and failures start anew. Attempt numbers go on, so
    /// that nothing an older attempt says is taken for a newer one's word.
    ///
    /// - Returns: false while it is not over: nothing changed.
    package mutating func runAgain() -> Bool {
        guard state.isFinal else { return false }
        state = .waiting
        attemptsBefore = attempt
        failures = 0
        isWanted = true
        reason = nil
        return true
    }

    private func isCurrent(_ number: Int) -> Bool { state.hasLiveAttempt && number == attempt }

    private mutating func attemptFailed(reason why: String, isRetriable: Bool) -> Answer {
        failures += 1
        guard isWanted else { return end(.interrupted, reason: reason) }
        guard isRetriable else { return end(.failed, reason: why) }
        guard failures < attemptsMax else {
            return end(.failed, reason: "\(why) (\(failures) of \(attemptsMax) attempts failed)")
        }
        return waitAgain(reason: why)
    }

    private mutating func cancel(reason why: String) -> Answer {
        if state == .waiting { return end(.interrupted, reason: why) }
        guard isWanted else { return .ignore }
        isWanted = false
        reason = why
        return .changed
    }

    private mutating func waitAgain(reason why: String) -> Answer {
        state = .waiting
        reason = why
        return .retry(failures: failures)
    }

    private mutating func end(_ final: State, reason why: String?) -> Answer {
        state = final
        reason = why
        return .ended
    }
}
