import ServiceLifecycle
import Workflow

/// Drives backfills: starts the queues of shards, sees how they end, says when all is done.
///
/// Any number of replicas run it; see ``ScheduleService`` for how they share the work.
package struct BackfillService: Service {
    let store: BackfillStore
    let starter: QueueStarter
    /// A backfill was changed here: look now.
    let wakeups: Wakeups
    /// Names this replica's claims.
    let replica: String
    let observe: ScheduleObserver
    /// For what goes wrong in the loop itself.
    let observeLoop: EngineObserver

    /// Backfills looked at side by side.
    static let parallelMax = 4
    static let idleWaitMilliseconds: Int64 = 1_000

    package init(
        store: BackfillStore, starter: QueueStarter, wakeups: Wakeups, replica: String,
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
        await loop("backfills", observe: observeLoop) {
            guard try await round() == 0 else { return }
            let wait = try await store.claims.millisecondsToNextLook(limit: Self.idleWaitMilliseconds)
            await wakeups.wait(atMost: .milliseconds(max(wait, 5)))
        }
    }

    /// Looks once at every backfill that is due; also what tests call.
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
            if let state = look.reached { observe(.backfillChanged(look.name, state: state.rawValue)) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for shard in look.starting { group.addTask { try await start(shard) } }
                try await group.waitForAll()
            }
            for queue in look.stopping { try await stop(queue, of: look.name) }
            try await store.claims.release(claim, lookAt: look.lookAt)
        } catch is CancellationError {
            return
        } catch is ClaimLost {
            observe(.claimLost(owner: claim.key))
        } catch {
            observe(.lookFailed(owner: claim.key, error: "\(error)"))
        }
    }

    private func start(_ shard: StartingShard) async throws {
        let (name, number, attempt) = (shard.backfill, shard.number, shard.attempt)
        switch try await starter.outcome(shard.body, key: shard.idempotencyKey) {
        case .started(let queueID):
            let isUnwanted = try await store.recordStarted(shard, queueID)
            observe(.shardStarted(name, shard: number, attempt: attempt, queueID))
            if isUnwanted { try await stop(queueID, of: name) }
        case .refused(let error):
            try await store.recordRefused(shard, reason: "\(error)")
            observe(.shardRefused(name, shard: number, attempt: attempt, error: "\(error)"))
        case .unavailable(let error):
            try await store.recordRetry(shard, reason: error, isKnownToBeNothing: true)
            observe(.shardDelayed(name, shard: number, attempt: attempt, error: error))
        case .unknown(let error):
            try await store.recordRetry(shard, reason: error, isKnownToBeNothing: false)
            observe(.shardDelayed(name, shard: number, attempt: attempt, error: error))
        }
    }

    private func stop(_ queue: QueueID, of name: ObjectName) async throws {
        try await starter.stop(queue)
        observe(.stopAsked(owner: name, queue))
    }
}
