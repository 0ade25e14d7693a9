import Workflow

/// What the engine knows beside a queue's own rows when it looks at it.
package struct LookFacts: Sendable {
    /// Milliseconds of the database's clock.
    package var now: Int64
    /// How far the queue's partition of queue-events has been applied.
    package var appliedOffset: Int64
    /// When the partition's reader last stood at its end; leases are judged only up to here.
    package var caughtUpAt: Int64?
    /// How long in all the partition's reader could not tell: it was away, or the broker did not answer. Leases
    /// do not run meanwhile.
    package var blindMilliseconds: Int64
    /// Locks, semaphores and limits; nil when nothing limits this queue.
    package var resources: ResourceView?

    package init(now: Int64, appliedOffset: Int64 = 0, caughtUpAt: Int64? = nil, blindMilliseconds: Int64 = 0)
    {
        self.now = now
        self.appliedOffset = appliedOffset
        self.caughtUpAt = caughtUpAt
        self.blindMilliseconds = blindMilliseconds
    }
}

/// Something to do outside the database, after what was decided is written.
///
/// Each may be done twice, and a crash may keep it from being done: the next look asks for it again.
package enum QueueEffect: Sendable {
    /// Create the data topics; then the queue runs.
    case createTopics
    case launch(AttemptID)
    /// Ask the launcher about the attempt's job; what follows if it runs, and if its machine does not answer.
    case observe(AttemptID, ifRunning: [QueueOperation], ifMachineLost: [QueueOperation] = [])
    /// End the attempt's job by force; with nil its last events still count, and are read first.
    case kill(AttemptID, then: [QueueOperation]?)
    /// Delete the data topics of a final queue.
    case deleteTopics

    var isLaunch: Bool { if case .launch = self { true } else { false } }
}

/// Effects of a claimed queue that were carried out, well or not.
package struct TouchedEffects: Sendable {
    package var attempts: Set<AttemptID> = []
    package var areTopicsTouched = false

    package init() {}

    package mutating func insert(_ effect: QueueEffect) {
        switch effect {
        case .launch(let id), .observe(let id, _, _), .kill(let id, _): attempts.insert(id)
        case .createTopics, .deleteTopics: areTopicsTouched = true
        }
    }
}

/// What a look at a queue came to, beside the changes of its state.
package struct LookPlan: Sendable {
    package var effects: [QueueEffect] = []
    /// Milliseconds until the next look; nil when only an event or a request can bring work.
    package var lookAgain: Int64?
    /// Effects of an earlier look are still under way.
    package var isBusy = false
    /// The lines that instances stand in which could not be launched yet.
    package var waits: [ResourceWait] = []

    package init() {}

    /// Whether whoever holds the queue goes on holding it.
    package var keepsClaim: Bool { isBusy || !effects.isEmpty }

    /// How many jobs it asks for.
    var launchCount: Int { effects.count(where: \.isLaunch) }

    mutating func lookAgain(in milliseconds: Int64) {
        lookAgain = min(lookAgain ?? .max, max(milliseconds, 1))
    }
}
