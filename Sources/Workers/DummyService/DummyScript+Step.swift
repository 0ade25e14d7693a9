import Workflow

extension DummyScript {
    /// What the dummy has heard so far.
    package struct Heard: Sendable, Equatable {
        package var isStopRequested = false
        package var hasAnsweredPing = false

        package init(isStopRequested: Bool = false, hasAnsweredPing: Bool = false) {
            self.isStopRequested = isStopRequested
            self.hasAnsweredPing = hasAnsweredPing
        }
    }

    package enum Step: Sendable, Equatable {
        /// Work on, and look again after at most this long.
        case goOn(atMost: Duration)
        case finish
        case interrupt
        case fail
        case exit
    }

    /// Between looks, so that a stop is heard soon.
    static let tick = Duration.milliseconds(50)

    /// What comes next after `elapsed`. What is due at one time counts in the order: exit, fail, stop, ping, end.
    package func step(at elapsed: Duration, _ heard: Heard) -> Step {
        if isIdle { return heard.isStopRequested && !ignoresStop ? .interrupt : .goOn(atMost: Self.tick) }
        if let exitAfter, elapsed >= exitAfter { return .exit }
        if let failAfter, elapsed >= failAfter { return .fail }
        if heard.isStopRequested, !ignoresStop { return .interrupt }
        if heard.hasAnsweredPing, finishesOnPing { return .finish }
        // One that ignores a stop is there to be killed.
        if elapsed >= duration, !(heard.isStopRequested && ignoresStop) { return .finish }
        let due = [exitAfter, failAfter, duration].compactMap(\.self).filter { $0 > elapsed }.min()
        return .goOn(atMost: min(Self.tick, due.map { $0 - elapsed } ?? Self.tick))
    }

    /// What it says it wrote.
    package func counts(at elapsed: Duration) -> InstanceCounts {
        guard !isIdle else { return InstanceCounts() }
        let worked = min(elapsed, duration) / .seconds(1)
        return InstanceCounts(recordsWritten: Int64(Double(recordsPerSecond) * worked))
    }
}
