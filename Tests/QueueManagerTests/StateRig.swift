import ServiceRuntime
import Testing
import Workflow

@testable import QueueManager

/// A queue of the pure core, and everything around it that a test can turn: time, offsets, blindness.
struct StateRig {
    var queue: QueueState
    var now: Int64 = 1_000_000
    var applied: Int64 = 0
    var caughtUpAt: Int64?
    var blind: Int64 = 0
    var control: ControlPosition? = ControlPosition(partition: 3, offset: 7)
    var policy = EnginePolicy(
        lease: .seconds(30), startLimit: .seconds(60), stopGrace: .seconds(20), topicKeep: .zero)
    var jobs = QuietJobs()
    /// Names the look that goes on; another one is another look's.
    var token = "look"
    var touched = TouchedEffects()

    static let symbol = "BTCUSDT"

    /// A queue of one step; of two with a stream edge where the target is a loader.
    init(
        _ target: Target = .dummyService, symbols: [String] = [symbol],
        _ change: (inout PlannedStep) -> Void = { _ in }
    ) throws {
        var steps = [
            PlannedStep(
                id: try #require(StepID("work")), target: target, type: "api_candles_5m",
                interval: target.isProducer ? .minute5 : nil)
        ]
        if target.isProducer {
            steps.append(
                PlannedStep(
                    id: try #require(StepID("store")), target: .arangoConnector, type: "api_candles_5m",
                    interval: nil, input: steps[0].id))
        }
        for index in steps.indices {
            steps[index].retry.jitter = 0
            change(&steps[index])
        }
        queue = .new(
            NewQueue(
                queueID: try #require(QueueID("wf-rig-abc123")),
                plan: Plan(symbols: symbols, timeRange: "2024-08-01:2024-08-01", steps: steps),
                request: .null, asOf: 1, traceparent: nil, idempotencyKey: nil, requestHash: ""))
        queue.changes = QueueChanges()
    }

    /// The first step runs in a pool: it is not looked at, and its launch cannot be repeated.
    static func pooled(
        symbols: [String] = [symbol], _ change: (inout PlannedStep) -> Void = { _ in }
    ) throws -> StateRig {
        var rig = try StateRig(symbols: symbols, change)
        rig.jobs = QuietJobs(isPooled: true)
        return rig
    }

    // MARK: Names

    var id: InstanceID { queue.plan.instances[0] }
    /// The newest attempt of the first instance.
    var attempt: AttemptID { AttemptID(id, machine.attempt) }
    var machine: InstanceMachine { queue.instances[id]?.machine ?? InstanceMachine(attemptsMax: 0) }
    var live: AttemptState? { queue.attempts[attempt] }
    var history: [String] { queue.changes.history.map(\.kind) }
    var commands: [String] {
        queue.changes.commands.map {
            "\($0.commandSeq) \($0.instance ?? "")/\($0.attempt ?? 0) \($0.reason ?? "")"
        }
    }

    // MARK: What happens

    var context: OperationContext {
        OperationContext(now: now, policy: policy, blindMilliseconds: blind, jitter: 0, token: token)
    }

    @discardableResult
    mutating func apply(_ operation: QueueOperation) -> Bool { queue.apply(operation, context) }

    /// Looks once; what the look has done before is as `touched` says.
    @discardableResult
    mutating func look() -> Looked {
        let planner = LookPlanner(
            context: context,
            facts: LookFacts(
                now: now, appliedOffset: applied, caughtUpAt: caughtUpAt, blindMilliseconds: blind),
            control: control, jobs: jobs, touched: touched)
        return Looked(planner.plan(&queue))
    }

    @discardableResult
    mutating func say(
        _ status: QueueEvent.Status, seq: Int64, attempt: Int = 1, worker: String = "w1",
        reason: EndReason? = nil, counts: InstanceCounts = InstanceCounts(), error: String? = nil
    ) -> Bool {
        queue.apply(
            QueueEvent(
                status: status, reason: reason?.rawValue, queueID: queue.queueID, step: id.step,
                instance: id.instance, attempt: attempt, seq: seq, producer: "p", workerID: worker,
                symbol: id.instance, type: "t", message: "m", counts: counts, error: error, timestamp: 1),
            context)
    }

    /// An attempt was created and its launch recorded.
    mutating func launch() {
        look()
        apply(.launched(attempt, JobHandle(launcher: "quiet", fields: ["job": "1"])))
    }

    /// Its worker has said `started`.
    mutating func start() {
        launch()
        say(.started, seq: 1)
    }

    /// All is said and written so far; what follows is new.
    mutating func forget() { queue.changes = QueueChanges() }

    mutating func request(_ request: QueueRequest) { apply(.request(request, actor: "api")) }

    /// Stops that are in the outbox have been sent.
    mutating func sendStops() {
        for id in queue.attempts.keys.sorted() { apply(.stopSent(id)) }
    }
}

/// What a look came to, in words.
struct Looked {
    let effects: [String]
    let lookAgain: Int64?
    /// What those effects bring when they are done: kills and observations of jobs that still run.
    let outcomes: [[QueueOperation]]
    /// What observations bring whose machine does not answer.
    let ifMachineLost: [[QueueOperation]]

    init(_ plan: LookPlan) {
        effects = plan.effects.map(\.words)
        lookAgain = plan.lookAgain
        ifMachineLost = plan.effects.compactMap { effect in
            if case .observe(_, _, let operations) = effect { operations } else { nil }
        }
        outcomes = plan.effects.map { effect in
            switch effect {
            case .observe(_, let operations, _), .kill(_, .some(let operations)): operations
            case .createTopics, .launch, .kill, .deleteTopics: []
            }
        }
    }
}

extension QueueEffect {
    fileprivate var words: String {
        switch self {
        case .createTopics: "create topics"
        case .launch(let id): "launch \(id)"
        case .observe(let id, let ifRunning, _): "observe \(id)" + (ifRunning.isEmpty ? "" : " or lose it")
        case .kill(let id, let then): "kill \(id)" + (then == nil ? " and read on" : "")
        case .deleteTopics: "delete topics"
        }
    }
}

/// Processes that are looked at twice a second, or a pool that is not; nothing is ever launched.
struct QuietJobs: JobLauncher {
    var isPooled = false
    let name = "quiet"
    let ends = AsyncStream<QueueID> { $0.finish() }

    func isLaunchRepeatable(for target: Target) -> Bool { !isPooled }
    func pollInterval(for target: Target) -> Duration? { isPooled ? nil : .milliseconds(500) }
    func launch(_ job: Job) async throws(LaunchError) -> JobHandle { throw refusal("launch") }
    func find(
        _ id: InstanceID, attempt: Int, of queueID: QueueID
    ) async throws(LaunchError) -> JobHandle? { throw refusal("find") }
    func state(of handle: JobHandle) async throws(LaunchError) -> JobState { throw refusal("state") }
    func kill(_ handle: JobHandle) async throws(LaunchError) { throw refusal("kill") }

    private func refusal(_ operation: String) -> LaunchError {
        LaunchError(operation: operation, detail: "a decision reached for a job", isRetriable: false)
    }
}
