import ServiceRuntime
import Workflow

/// What came of the effects of a claimed queue.
struct LookFollowUp: Sendable {
    var claim: QueueClaim
    var operations: [QueueOperation] = []
    var touched = TouchedEffects()
    /// Other effects are still under way: the claim is kept whatever the look finds.
    var isBusy = false
}

/// Everything a reconciler works with; ports, so that the simulation can put its own in their places.
package struct ReconcilerParts: Sendable {
    package var store: any EngineStorage
    package var broker: EngineBroker
    package var launcher: any JobLauncher
    package var environment: JobEnvironment
    package var policy: EnginePolicy
    /// From 0 to 1, see ``OperationContext/jitter``.
    package var jitter: @Sendable () -> Double = { .random(in: 0...1) }
    /// Copies the dead letters of a queue's topics, which are about to go.
    package var collectDeadLetters: @Sendable (QueueID, Plan, _ runs: Int) async throws -> Void = { _, _, _ in
    }
    /// Queues of at least this many instances are looked at also while some of their effects are under way.
    package var stepwiseFrom = ApplyReport.lookInstancesMax + 1
    /// Told queues that came to their end.
    package var onEnd: @Sendable ([QueueID]) -> Void = { _ in }
    /// Names this replica's claims.
    package var replica: String
    package var crashPoints: CrashPoints
    package var observe: EngineObserver

    package init(
        store: any EngineStorage, broker: EngineBroker, launcher: any JobLauncher,
        environment: JobEnvironment, policy: EnginePolicy, replica: String, crashPoints: CrashPoints,
        observe: EngineObserver
    ) {
        self.store = store
        self.broker = broker
        self.launcher = launcher
        self.environment = environment
        self.policy = policy
        self.replica = replica
        self.crashPoints = crashPoints
        self.observe = observe
    }
}

/// Looks at queues in the store: each look decides with ``LookPlanner`` inside one transaction.
struct Looker: Sendable {
    let parts: ReconcilerParts

    /// Claims and looks at queues that are due.
    ///
    /// - Parameter controlEnds: the ends of queue-control's partitions; nil while the broker does not answer.
    func look(due limit: Int, token: String, _ controlEnds: [Int64]?) async throws -> [LookResult] {
        try await look(.due(limit: limit, token: token), [:], controlEnds)
    }

    /// Looks again at queues that are claimed, after what came of their effects was applied.
    ///
    /// - Returns: nil for a claim that was lost meanwhile.
    func look(again followUps: [LookFollowUp], _ controlEnds: [Int64]?) async throws -> [LookResult?] {
        let byQueue = Dictionary(followUps.map { ($0.claim.queueID, $0) }) { _, newer in newer }
        let results = try await look(.claimed(followUps.map(\.claim)), byQueue, controlEnds)
        let byClaim = Dictionary(results.map { ($0.claim, $0) }) { _, newer in newer }
        return followUps.map { byClaim[$0.claim] }
    }

    /// Creates queues and looks at the small ones at once.
    ///
    /// - Parameter claimsMax: with 0 none is looked at.
    func create(
        _ queues: [NewQueue], token: String, claimsMax: Int, _ controlEnds: [Int64]?
    ) async throws -> CreationReport {
        let broker = parts.broker
        let look = CreationLook(
            token: token, claimsMax: claimsMax, eventPartition: { broker.eventPartition(of: $0) },
            work: { queue, facts, claim in
                decide(&queue, facts, token: claim.token, nil, controlEnds)
            })
        let report = try await parts.store.create(queues, look: claimsMax > 0 ? look : nil)
        for result in report.looked { parts.observe(result.queue) }
        return report
    }

    private func look(
        _ selection: LookSelection, _ followUps: [QueueID: LookFollowUp], _ controlEnds: [Int64]?
    ) async throws -> [LookResult] {
        let broker = parts.broker
        let request = LookRequest(selection) { broker.eventPartition(of: $0) }
        let began = ContinuousClock.now
        let results = try await parts.store.look(request) { queue, facts, claim in
            decide(&queue, facts, token: claim.token, followUps[queue.queueID], controlEnds)
        }
        observe(results, began: began)
        return results
    }

    /// Reports looks that are committed.
    func observe(_ results: [LookResult], began: ContinuousClock.Instant) {
        for result in results {
            parts.observe(
                .looked(result.queue.queueID, began: began, launches: result.plan.launchCount))
            parts.observe(result.queue)
        }
    }

    func decide(
        _ queue: inout QueueState, _ facts: LookFacts, token: String, _ followUp: LookFollowUp?,
        _ controlEnds: [Int64]?
    ) -> LookPlan {
        if let followUp { apply(followUp, to: &queue, facts) }
        return plan(&queue, facts, token: token, followUp, controlEnds)
    }

    /// Writes down what came of the effects of a claimed queue.
    func apply(_ followUp: LookFollowUp, to queue: inout QueueState, _ facts: LookFacts) {
        let context = context(facts, token: followUp.claim.token)
        for operation in followUp.operations { queue.apply(operation, context) }
    }

    /// - Parameter followUp: what came of the effects so far, written down already.
    func plan(
        _ queue: inout QueueState, _ facts: LookFacts, token: String, _ followUp: LookFollowUp?,
        _ controlEnds: [Int64]?
    ) -> LookPlan {
        let planner = LookPlanner(
            context: context(facts, token: token), facts: facts,
            control: control(of: queue.queueID, controlEnds), jobs: parts.launcher,
            touched: followUp?.touched ?? TouchedEffects())
        var plan = planner.plan(&queue)
        plan.isBusy = followUp?.isBusy ?? false
        return plan
    }

    private func context(_ facts: LookFacts, token: String) -> OperationContext {
        OperationContext(
            now: facts.now, policy: parts.policy, blindMilliseconds: facts.blindMilliseconds,
            jitter: parts.jitter(), token: token)
    }

    private func control(of queue: QueueID, _ ends: [Int64]?) -> ControlPosition? {
        let partition = parts.broker.controlPartition(of: queue)
        guard let ends, ends.indices.contains(Int(partition)) else { return nil }
        return ControlPosition(partition: partition, offset: ends[Int(partition)])
    }
}
