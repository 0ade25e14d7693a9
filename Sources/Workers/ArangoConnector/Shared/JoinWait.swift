import KafkaBridge

/// Whether the broker still owes a member the answer to its first joining.
///
/// noida-db loses one of two members with names when the second one asks to join while the group of the first is
/// being made: then neither of them ever hears of partitions, until one of them asks again.
struct JoinWait {
    private enum State {
        case idle, answered
        case waiting(since: ContinuousClock.Instant)
    }

    private var state = State.idle

    /// A second joining of the same membership, for more topics, changes nothing once there was an answer.
    mutating func joined(at now: ContinuousClock.Instant) {
        if case .idle = state { state = .waiting(since: now) }
    }

    /// It was given partitions, or told that there are none for it.
    mutating func answered() { state = .answered }

    /// - Throws: ``KafkaError`` when the membership has to be begun anew.
    func check(now: ContinuousClock.Instant, limit: Duration?) throws(KafkaError) {
        guard let limit, case .waiting(let since) = state, now - since >= limit else { return }
        throw KafkaError(
            .timedOut, operation: "join the group of connectors",
            detail: "the broker has shared out no partitions for \(limit): it is asked anew",
            isRetriable: true)
    }
}
