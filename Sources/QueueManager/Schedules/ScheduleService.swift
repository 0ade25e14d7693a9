import ServiceLifecycle
import Workflow

/// Fires schedules. Any number of replicas run it: a schedule is claimed by row for a few seconds, and a
/// firing creates its queue under a key of its own, so that nothing fires twice.
package struct ScheduleService: RowService {
    let store: ScheduleStore
    let starter: QueueStarter
    package let wakeups: Wakeups
    package let replica: String
    package let observe: ScheduleObserver
    package let observeLoop: EngineObserver

    package static let loopName = "schedules"
    package static let parallelMax = 8

    package var claims: RowClaims { store.claims }

    package init(
        store: ScheduleStore, starter: QueueStarter, wakeups: Wakeups, replica: String,
        observe: ScheduleObserver, observeLoop: EngineObserver
    ) {
        self.store = store
        self.starter = starter
        self.wakeups = wakeups
        self.replica = replica
        self.observe = observe
        self.observeLoop = observeLoop
    }

    package func look(at claim: RowClaim) async throws -> Int64? {
        let look = try await store.look(at: claim)
        for decision in look.decisions { report(decision, look.name) }
        for firing in look.starting { try await start(firing) }
        for queue in look.stopping {
            try await starter.stop(queue)
            observe(.stopAsked(owner: look.name, queue))
        }
        return look.lookAt
    }

    private func start(_ firing: StartingFiring) async throws {
        let (name, time) = (firing.schedule, firing.fireTime)
        switch try await starter.outcome(firing.body, key: firing.idempotencyKey) {
        case .started(let queueID):
            try await store.recordStarted(firing, queueID)
            observe(.firingStarted(name, fireTime: time, queueID))
        case .refused(let error):
            try await store.recordRefused(firing, reason: "\(error)")
            observe(.firingRefused(name, fireTime: time, error: "\(error)"))
        case .unavailable(let error): try await delay(firing, error, mayGiveUp: true)
        // Perhaps the queue exists: only an answer may end this.
        case .unknown(let error): try await delay(firing, error, mayGiveUp: false)
        }
    }

    private func delay(_ firing: StartingFiring, _ error: String, mayGiveUp: Bool) async throws {
        let isOver = try await store.recordRetry(firing, reason: error, mayGiveUp: mayGiveUp)
        observe(
            isOver
                ? .firingRefused(firing.schedule, fireTime: firing.fireTime, error: error)
                : .firingDelayed(firing.schedule, fireTime: firing.fireTime, error: error))
    }

    private func report(_ decision: SchedulePlan.Decision, _ name: ObjectName) {
        switch decision {
        case .missed(_, let last, let count, let reason):
            observe(.firingsMissed(name, last: last, count: count, reason: reason))
        case .skip(let time, let reason): observe(.firingSkipped(name, fireTime: time, reason: reason))
        case .start, .wait, .release, .drop, .stopRunning: break
        }
    }
}
