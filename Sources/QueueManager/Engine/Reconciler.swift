import ServiceLifecycle
import ServiceRuntime
import Workflow

/// Looks at queues that want it and brings each a step nearer to what its plan says (design decision 4).
///
/// One look: read the truth, compare with the world, take idempotent steps, say when to look again. A crash
/// between any two of them leaves a state from which the next look goes on.
package struct Reconciler: Service {
    let store: EngineStore
    let broker: EngineBroker
    let launcher: any JobLauncher
    let environment: JobEnvironment
    let policy: EnginePolicy
    let wakeups: Wakeups
    /// Commands to send were written.
    let commandWakeups: Wakeups
    /// Names this replica's claims.
    let replica: String
    let crashPoints: CrashPoints
    let observe: EngineObserver
    /// Copies the dead letters of a queue's topics, which are about to go.
    var collectDeadLetters: @Sendable (QueueID, Plan) async throws -> Void = { _, _ in }

    /// Queues looked at side by side.
    static let parallelMax = 8
    static let idleWaitMilliseconds: Int64 = 1_000

    package func run() async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await id in launcher.ends.cancelOnGracefulShutdown() {
                    // If this fails the next look, half a second later, sees the end all the same.
                    try? await store.requestLook(at: id)
                    wakeups.signal()
                }
            }
            group.addTask {
                await loop("reconcile", observe: observe) { try await round() }
            }
        }
    }

    /// Looks once at every queue that is due; also what tests call.
    package func round() async throws {
        let token = "\(replica)/\(UInt64.random(in: .min ... .max))"
        let claims = try await store.claimQueues(limit: Self.parallelMax, token: token)
        await withTaskGroup(of: Void.self) { group in
            for claim in claims { group.addTask { await look(at: claim) } }
        }
        guard claims.isEmpty else { return }
        let wait = try await store.millisecondsToNextLook(limit: Self.idleWaitMilliseconds)
        await wakeups.wait(atMost: .milliseconds(max(wait, 5)))
    }

    private func look(at claim: QueueClaim) async {
        do {
            let next = try await reconcile(claim)
            try await store.release(claim, lookAgainMilliseconds: next)
        } catch is ClaimLost {
            observe(.claimLost(claim.queueID))
        } catch {
            observe(.lookFailed(claim.queueID, error: "\(error)"))
            // The claim runs out by itself if this fails too.
            try? await store.release(claim, lookAgainMilliseconds: 1_000)
        }
    }

    /// - Returns: milliseconds until the next look; nil when only an event or request can bring work.
    private func reconcile(_ claim: QueueClaim) async throws -> Int64? {
        let partition = broker.eventPartition(of: claim.queueID)
        guard let look = try await store.look(at: claim, eventPartition: partition) else { return nil }
        if look.queue.status.isFinal { return try await cleanUp(look, claim) }
        if try await watchAttempts(look, claim) { return 0 }
        var next: Int64? = look.liveAttempts.isEmpty ? nil : policy.livePoll.milliseconds
        var launches: [InstanceRow] = []
        for decision in QueuePlanner.decide(look.snapshot) {
            switch decision {
            case .prepare:
                try await prepare(look, claim)
                next = 0
            case .launch(let id):
                if let row = look.instances.first(where: { $0.id == id }) { launches.append(row) }
            case .cancel(let id, let reason):
                try await store.apply(
                    .cancel(reason: reason), to: id, stopReason: reason, backoff: policy.backoff, claim: claim
                )
                commandWakeups.signal()
                next = 0
            case .skip(let id, let reason):
                try await store.apply(
                    .skip(reason: reason), to: id, stopReason: nil, backoff: policy.backoff, claim: claim)
                next = 0
            case .suspend(let id):
                try await store.suspend(id, claim: claim)
                commandWakeups.signal()
                next = 0
            case .end(let status, let reason):
                try await store.setStatus(status, reason: reason, claim: claim)
                observe(.queueEnded(claim.queueID, status, reason: reason))
                next = 0
            case .lookAgain(let at):
                next = min(next ?? .max, max(at - look.now, 1))
            }
        }
        if !launches.isEmpty {
            try await create(Array(launches.prefix(policy.launchesMax)), claim)
            next = 0
        }
        return next
    }

    /// Creating a topic that exists is fine, so a crash before the status changes costs nothing.
    private func prepare(_ look: QueueLook, _ claim: QueueClaim) async throws {
        let plan = look.queue.plan
        for step in plan.steps where step.target.isProducer {
            let topic = dataTopic(of: step, in: look.queue)
            try await broker.createTopic(
                topic, Int32(plan.symbols.count), ["retention.ms": "-1", "cleanup.policy": "delete"])
            try await broker.createTopic(
                DerivedName.deadLetterTopic(dataTopic: topic), 1,
                ["retention.ms": "2592000000", "cleanup.policy": "delete"])
        }
        try await store.setStatus(.running, reason: nil, claim: claim)
    }

    /// The attempts exist before anything is started; the next look starts what has no handle yet.
    private func create(_ rows: [InstanceRow], _ claim: QueueClaim) async throws {
        let partition = broker.controlPartition(of: claim.queueID)
        let offset = try await broker.endOffset(broker.controlTopic, partition)
        try await store.createAttempts(
            of: rows, control: (partition, offset), leaseMilliseconds: policy.startLimit.milliseconds,
            claim: claim)
    }

    private func dataTopic(of step: PlannedStep, in queue: QueueRow) -> String {
        DerivedName.dataTopic(
            queue.queueID, producingStep: step.id, producingStepCount: queue.plan.producingStepCount)
    }

    /// Ends what still runs and deletes the topics; until then the queue is looked at again and again.
    private func cleanUp(_ look: QueueLook, _ claim: QueueClaim) async throws -> Int64? {
        for attempt in look.liveAttempts {
            try await kill(attempt, claim)
            try await store.closeAttempt(attempt.id, attempt: attempt.attempt, claim: claim)
        }
        let age = try await store.millisecondsSinceEnd(of: claim.queueID)
        let keep = policy.topicKeep.milliseconds
        if age < keep { return keep - age }
        try await collectDeadLetters(claim.queueID, look.queue.plan)
        var topics: [String] = []
        for step in look.queue.plan.steps where step.target.isProducer {
            let topic = dataTopic(of: step, in: look.queue)
            topics.append(topic)
            topics.append(DerivedName.deadLetterTopic(dataTopic: topic))
        }
        try await broker.deleteTopics(topics)
        try await store.setCleaned(claim)
        return nil
    }
}
