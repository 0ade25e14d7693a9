import Workflow

/// One attempt of one instance.
package struct AttemptID: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var id: InstanceID
    package var number: Int

    package init(_ id: InstanceID, _ number: Int) {
        self.id = id
        self.number = number
    }

    package var description: String { "\(id)/\(number)" }
    package static func < (left: AttemptID, right: AttemptID) -> Bool {
        left.id == right.id ? left.number < right.number : left.id < right.id
    }
}

/// Where a worker begins to read queue-control: the partition's end before its launch.
package struct ControlPosition: Sendable, Hashable {
    package var partition: Int32
    package var offset: Int64

    package init(partition: Int32, offset: Int64) {
        self.partition = partition
        self.offset = offset
    }
}

/// An instance as the engine works on it. Times are milliseconds of the database's clock.
package struct InstanceState: Sendable {
    package var machine: InstanceMachine
    package var counts = InstanceCounts()
    /// No new attempt before this time.
    package var notBefore: Int64 = 0
    /// What the worker said beside its counts.
    package var extra: [String: JSONValue]?
    /// When its first attempt of this run was created.
    package var startedAt: Int64?
    package var finishedAt: Int64?
    /// The queue's paused time when its first attempt was created.
    package var pausedBefore: Int64 = 0

    package init(machine: InstanceMachine) {
        self.machine = machine
    }
}

/// An attempt whose job may still exist, or that just ended. Times are milliseconds of the database's clock.
package struct AttemptState: Sendable {
    package var id: AttemptID
    /// Names the look that created it and means to launch its job.
    package var launchToken: String
    package var control: ControlPosition
    /// How the launcher finds its job; nil until the launch was recorded.
    package var handle: JobHandle?
    /// The process that owns it: the one whose event was applied first.
    package var workerID: String?
    package var lastEventSeq: Int64 = 0
    /// The newest word of its worker, then how it ended.
    package var status = "starting"
    package var reason: String?
    package var leaseUntil: Int64
    /// The partition's blind time when the lease was granted.
    package var leaseBlind: Int64
    /// Its job ended by itself: lost once the events up to this offset are applied.
    package var goneOffset: Int64?
    /// How its job ended, where that is known: `exit 4`, `signal 9`.
    package var howEnded: String?
    package var stopRequestedAt: Int64?
    /// The stop is in queue-control, or nobody is left to read it: a next attempt may begin.
    package var isStopSent = false
    package var endedAt: Int64?
    /// Its job does not exist any more.
    package var isGone = false

    package init(
        id: AttemptID, launchToken: String, control: ControlPosition, leaseUntil: Int64, leaseBlind: Int64
    ) {
        self.id = id
        self.launchToken = launchToken
        self.control = control
        self.leaseUntil = leaseUntil
        self.leaseBlind = leaseBlind
    }
}

/// A line of a queue's history.
package struct HistoryEntry: Sendable {
    package var number: Int64
    package var kind: String
    /// Who caused it: `api`, `engine`, or the worker's producer id.
    package var actor: String
    package var id: InstanceID?
    package var attempt: Int?
    package var detail: [String: JSONValue]
}

/// A queue as the engine works on it: pure; what was changed is noted for the store to write.
///
/// Times are milliseconds of the database's clock.
package struct QueueState: Sendable {
    package let queueID: QueueID
    package let plan: Plan
    /// Candles that closed before this are loaded (Unix milliseconds).
    package let asOf: Int64
    package let traceparent: String?
    package var status: QueueStatus
    /// 1, and one more with each retry.
    package var run = 1
    package var reason: String?
    package var startedAt: Int64?
    package var finishedAt: Int64?
    package var pausedAt: Int64?
    /// Of all pauses that are over.
    package var pausedMilliseconds: Int64 = 0
    /// End its attempts by force, without waiting for what they have in hand.
    package var isTerminated = false
    /// Topics are gone and nothing runs: there is nothing left to do.
    package var isCleaned = false
    package var eventNumber: Int64 = 0
    package var commandSeq: Int64 = 0
    /// All instances, or those that a change concerns.
    package var instances: [InstanceID: InstanceState] = [:]
    /// The newest change of these that the store has numbered.
    package var instancesVersion: Int64 = 0
    /// Attempts whose jobs may still exist, and those that a change concerns.
    package var attempts: [AttemptID: AttemptState] = [:]
    package var changes = QueueChanges()

    package init(
        queueID: QueueID, plan: Plan, asOf: Int64, traceparent: String?, status: QueueStatus = .pending
    ) {
        self.queueID = queueID
        self.plan = plan
        self.asOf = asOf
        self.traceparent = traceparent
        self.status = status
    }

    /// A queue that was just asked for: every instance waits.
    package static func new(_ queue: NewQueue) -> QueueState {
        var state = QueueState(
            queueID: queue.queueID, plan: queue.plan, asOf: queue.asOf, traceparent: queue.traceparent)
        for id in queue.plan.instances {
            let machine = InstanceMachine(attemptsMax: queue.plan.attemptsMax(id.step))
            state.instances[id] = InstanceState(machine: machine)
        }
        let count = JSONValue.integer(Int64(state.instances.count))
        state.note("queue_created", actor: "api", detail: ["instances": count])
        return state
    }

    package func currentAttempt(of id: InstanceID) -> AttemptState? {
        instances[id].flatMap { attempts[AttemptID(id, $0.machine.attempt)] }
    }

    /// What the planner is shown at the time `now`.
    package func snapshot(now: Int64) -> QueueSnapshot {
        let clock = pausedAt ?? now
        // No keys are hashed for it: a queue may have thousands of instances, and each look needs this.
        var shown = instances.mapValues { instance in
            QueueSnapshot.Instance(
                machine: instance.machine, counts: instance.counts, notBefore: instance.notBefore,
                elapsed: instance.startedAt.map {
                    clock - $0 - (pausedMilliseconds - instance.pausedBefore)
                },
                extra: instance.extra ?? [:], finishedAt: instance.finishedAt)
        }
        for attempt in attempts.values where attempt.stopRequestedAt != nil {
            guard instances[attempt.id.id]?.machine.attempt == attempt.id.number else { continue }
            shown[attempt.id.id]?.isStopRequested = true
        }
        return QueueSnapshot(
            status: status, run: run, plan: plan, instances: shown, now: now,
            elapsed: startedAt.map { clock - $0 - pausedMilliseconds })
    }
}

/// What a store has to write after a ``QueueState`` was worked on.
package struct QueueChanges: Sendable {
    package var isQueueChanged = false
    package var instances: Set<InstanceID> = []
    /// Instances that a new run begins with.
    package var runAgain: Set<InstanceID> = []
    package var attempts: Set<AttemptID> = []
    package var history: [HistoryEntry] = []
    /// To be sent, numbered.
    package var commands: [ControlCommand] = []
    /// Attempts that said their last word: commands for them have had their effect.
    package var settledAttempts: [AttemptID] = []
    /// The queue is final: no command is worth sending a second time.
    package var dropsCommands = false
    /// Something happened that a reconciler should look at.
    package var needsLook = false

    package init() {}

    package var isEmpty: Bool {
        !isQueueChanged && instances.isEmpty && attempts.isEmpty && history.isEmpty && commands.isEmpty
            && settledAttempts.isEmpty && !dropsCommands
    }
}
