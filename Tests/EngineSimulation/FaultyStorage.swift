import QueueManager
import Workflow

/// What one run of one replica sees of the database: latency, failures, lost replies; after its death nothing.
///
/// `@unchecked`: lives on the simulation's one thread.
final class FaultyStorage: EngineStorage, SweepStorage, @unchecked Sendable {
    private let store: MemoryEngineStorage
    private let world: World
    private let replica: ReplicaRun

    init(_ store: MemoryEngineStorage, _ world: World, _ replica: ReplicaRun) {
        self.store = store
        self.world = world
        self.replica = replica
    }

    /// A call to the database: it may fail before it has an effect, or work with the answer lost.
    private func call<R>(_ name: String, _ body: () async throws -> R) async throws -> R {
        try await replica.reach("database", name)
        let result = try await body()
        try await replica.answer("database", name)
        return result
    }

    func create(_ queues: [NewQueue], look: CreationLook?) async throws -> CreationReport {
        try await call("create") {
            let report = try await store.create(queues, look: look)
            let claimed = report.looked.count { !$0.plan.effects.isEmpty }
            world.tell("\(replica.name) created \(queues.map(\.queueID)) and claimed \(claimed)")
            return report
        }
    }

    func look(
        _ request: LookRequest, _ work: @Sendable (inout QueueState, LookFacts, QueueClaim) -> LookPlan
    ) async throws -> [LookResult] {
        try await call("look") {
            let results = try await store.look(request, work)
            for result in results { tell(result, "by itself") }
            return results
        }
    }

    private func tell(_ result: LookResult, _ how: String) {
        let kind = result.plan.isBusy ? "\(how), effects under way" : how
        world.note(look: kind)
        world.tell(
            "\(replica.name) looked at \(result.queue.queueID) \(kind): \(result.plan.effects.count) effects")
    }

    func renew(_ claims: [QueueClaim]) async throws {
        try await call("renew") { try await store.renew(claims) }
    }

    func release(_ claim: QueueClaim, lookAgain milliseconds: Int64) async throws {
        try await call("release") { try await store.release(claim, lookAgain: milliseconds) }
    }

    func millisecondsToNextLook(limit: Int64) async throws -> Int64 {
        try await call("next look") { try await store.millisecondsToNextLook(limit: limit) }
    }

    func requestLook(at id: QueueID) async throws {
        try await call("request look") { try await store.requestLook(at: id) }
    }

    func renewPartitions(
        count: Int32, owner: String, caughtUp: [Int32], upTo: Int64
    ) async throws -> PartitionRenewal {
        try await call("renew partitions") {
            try await store.renewPartitions(count: count, owner: owner, caughtUp: caughtUp, upTo: upTo)
        }
    }

    func disownPartitions(owner: String) async throws {
        try await call("disown") { try await store.disownPartitions(owner: owner) }
    }

    func apply(
        _ batches: [EventBatch], owner: String, look: EventLook?,
        _ work: @Sendable (inout QueueState, QueueEvent, EventFacts) -> Bool
    ) async throws -> ApplyReport {
        if store.bugs.contains(.offsetOutsideTransaction) {
            try await call("move offsets") { store.moveOffsetsOnly(batches) }
            let moved = batches.map { batch in
                var batch = batch
                batch.from.nextOffset = batch.nextOffset
                return batch
            }
            return try await call("apply") { try await store.apply(moved, owner: owner, look: look, work) }
        }
        return try await call("apply") {
            let report = try await store.apply(batches, owner: owner, look: look, work)
            for result in report.looked { tell(result, "with its events") }
            return report
        }
    }

    func dispatch(limit: Int, _ send: ([ControlCommand]) async throws -> Void) async throws -> Int {
        try await call("dispatch") { try await store.dispatch(limit: limit, send) }
    }

    func topicOwners(_ ids: [QueueID]) async throws -> [QueueID: TopicOwner] {
        try await call("topic owners") { try await store.topicOwners(ids) }
    }

    func goneAttempts(_ owners: [JobKey], for time: Duration) async throws -> Set<JobKey> {
        try await call("gone attempts") { try await store.goneAttempts(owners, for: time) }
    }
}
