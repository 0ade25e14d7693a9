import ServiceLifecycle
import Workflow

/// Drives backfills: starts the queues of shards, sees how they end, says when all is done.
///
/// Any number of replicas run it; see ``RowService`` for how they share the work.
package struct BackfillService: RowService {
    let store: BackfillStore
    let starter: QueueStarter
    package let wakeups: Wakeups
    package let replica: String
    package let observe: ScheduleObserver
    package let observeLoop: EngineObserver

    package static let loopName = "backfills"
    package static let parallelMax = 4

    package var claims: RowClaims { store.claims }

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

    package func look(at claim: RowClaim) async throws -> Int64? {
        let look = try await store.look(at: claim)
        if let state = look.reached { observe(.backfillChanged(look.name, state: state.rawValue)) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for shard in look.starting { group.addTask { try await start(shard) } }
            try await group.waitForAll()
        }
        for queue in look.stopping { try await stop(queue, of: look.name) }
        return look.lookAt
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
