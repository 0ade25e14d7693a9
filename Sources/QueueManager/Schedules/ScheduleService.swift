import ServiceLifecycle
import Workflow

/// Fires schedules. Any number of replicas run it: a schedule is claimed by row for a few seconds, and a
/// firing creates its queue under a key of its own, so that nothing fires twice.
package struct ScheduleService: Service {
    let store: ScheduleStore
    let starter: QueueStarter
    /// A schedule was changed here: look now.
    let wakeups: Wakeups
    /// Names this replica's claims.
    let replica: String
    let observe: ScheduleObserver
    /// For what goes wrong in the loop itself.
    let observeLoop: EngineObserver

    /// Schedules looked at side by side.
    static let parallelMax = 8
    /// Together with the lease of a claim, this bounds how late a firing can be when a replica dies.
    static let idleWaitMilliseconds: Int64 = 1_000

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

    package func run() async throws {
        await loop("schedules", observe: observeLoop) {
            guard try await round() == 0 else { return }
            let wait = try await store.claims.millisecondsToNextLook(limit: Self.idleWaitMilliseconds)
            await wakeups.wait(atMost: .milliseconds(max(wait, 5)))
        }
    }

    /// Looks once at every schedule that is due; also what tests call.
    ///
    /// - Returns: how many that were.
    @discardableResult
    package func round() async throws -> Int {
        let token = "\(replica)/\(UInt64.random(in: .min ... .max))"
        let claims = try await store.claims.claim(limit: Self.parallelMax, token: token)
        await withTaskGroup(of: Void.self) { group in
            for claim in claims { group.addTask { await look(at: claim) } }
        }
        return claims.count
    }

    /// A claim that is not given back after an error runs out by itself.
    private func look(at claim: RowClaim) async {
        do {
            let look = try await store.look(at: claim)
            for decision in look.decisions { report(decision, look.name) }
            for firing in look.starting { try await start(firing) }
            for queue in look.stopping {
                try await starter.stop(queue)
                observe(.stopAsked(owner: look.name, queue))
            }
            try await store.claims.release(claim, lookAt: look.lookAt)
        } catch is CancellationError {
            return
        } catch is ClaimLost {
            observe(.claimLost(owner: claim.key))
        } catch {
            observe(.lookFailed(owner: claim.key, error: "\(error)"))
        }
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
