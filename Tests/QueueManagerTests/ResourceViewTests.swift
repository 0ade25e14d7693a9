import MarketData
import Testing
import Workflow

@testable import QueueManager

/// Who gets what, and who waits: pure, one line a rule.
struct ResourceViewTests {
    private let lock: Resource
    private let pair: Resource

    init() throws {
        lock = .lock(try #require(ResourceName("gpu")))
        pair = .semaphore(try #require(ResourceName("pair")))
    }

    private func queue(_ resources: [[Resource]], priority: Int = 0) throws -> QueueState {
        let steps = try resources.enumerated().map { index, needs in
            var step = PlannedStep(
                id: try #require(StepID("s\(index)")), target: .dummyService, type: "dummy", interval: nil)
            for need in needs {
                if case .lock(let name) = need { step.locks.append(name) }
                if case .semaphore(let name) = need { step.semaphores.append(name) }
            }
            return step
        }
        var plan = Plan(symbols: ["BTCUSDT"], timeRange: "2024-08-01:2024-08-01", steps: steps)
        plan.priority = priority
        return QueueState.new(
            NewQueue(
                queueID: try #require(QueueID("wf-test-aaaaaa")), plan: plan, request: .null, asOf: 0,
                traceparent: nil, idempotencyKey: nil, requestHash: ""))
    }

    private func admit(
        _ queue: QueueState, _ lines: [Resource: ResourceLine], limits: InstanceLimits = InstanceLimits(),
        since: [InstanceID: Int64] = [:], holds: Set<ResourceHold> = []
    ) -> ResourceView.Admission {
        ResourceView(queueID: queue.queueID, limits: limits, lines: lines, holds: holds, since: since)
            .admit(queue.plan.instances, of: queue, now: 1_000, instancesMax: 64) { _ in true }
    }

    private func place(_ suffix: String, since: Int64, priority: Int = 0) throws -> LinePlace {
        LinePlace(since: since, priority: priority, queueID: try #require(QueueID("wf-test-\(suffix)")))
    }

    @Test func `a free lock is given, and of two instances of a queue the first has it`() throws {
        let queue = try queue([[lock], [lock]])
        let admission = admit(queue, [lock: ResourceLine(permits: 1, held: 0, waiters: [])])
        #expect(admission.admitted == [queue.plan.instances[0]])
        #expect(
            admission.waits.filter(\.isShort).map(\.hold) == [ResourceHold(lock, queue.plan.instances[1])])
    }

    @Test func `a held lock is waited for`() throws {
        let queue = try queue([[lock]])
        let admission = admit(queue, [lock: ResourceLine(permits: 1, held: 1, waiters: [])])
        #expect(admission.admitted.isEmpty && admission.waits.map(\.since) == [1_000])
        #expect(admission.lookAgain == ResourceView.lookAgainMilliseconds)
    }

    @Test func `who lacks one thing takes none of the others, and keeps its place for them`() throws {
        let queue = try queue([[lock, pair], [pair]])
        let lines = [
            lock: ResourceLine(permits: 1, held: 1, waiters: []),
            pair: ResourceLine(permits: 2, held: 1, waiters: []),
        ]
        let admission = admit(queue, lines)
        #expect(admission.admitted.isEmpty)
        #expect(Set(admission.waits.filter { !$0.isShort }.map(\.hold.resource)) == [pair])
    }

    @Test func `who waits for a lock keeps nobody from running at all`() throws {
        let queue = try queue([[lock], []])
        let lines = [
            lock: ResourceLine(permits: 1, held: 1, waiters: []),
            Resource.overall: ResourceLine(permits: 2, held: 1, waiters: []),
        ]
        let admission = admit(queue, lines, limits: InstanceLimits(overall: 2))
        #expect(admission.admitted == [queue.plan.instances[1]])
    }

    @Test(arguments: [(Int64(999), false), (Int64(1_001), true)])
    func `a newcomer does not overtake whoever waits longer`(since: Int64, isAdmitted: Bool) throws {
        let queue = try queue([[lock]])
        let line = ResourceLine(permits: 1, held: 0, waiters: [try place("bbbbbb", since: since)])
        #expect(admit(queue, [lock: line]).admitted.isEmpty != isAdmitted)
    }

    @Test(arguments: [(Int64(-8_999), true), (Int64(-9_001), false)])
    func `a point of priority is worth ten seconds of waiting`(since: Int64, isAdmitted: Bool) throws {
        let queue = try queue([[lock]], priority: 1)
        let line = ResourceLine(permits: 1, held: 0, waiters: [try place("bbbbbb", since: since)])
        #expect(admit(queue, [lock: line]).admitted.isEmpty != isAdmitted)
    }

    @Test func `what is left beyond those who come first is given`() throws {
        let queue = try queue([[pair]])
        let line = ResourceLine(permits: 3, held: 1, waiters: [try place("bbbbbb", since: 1)])
        #expect(admit(queue, [pair: line]).admitted.count == 1)
    }

    @Test func `the wait of before counts`() throws {
        let queue = try queue([[lock]])
        let line = ResourceLine(permits: 1, held: 0, waiters: [try place("bbbbbb", since: 600)])
        #expect(admit(queue, [lock: line], since: [queue.plan.instances[0]: 500]).admitted.count == 1)
        #expect(admit(queue, [lock: line], since: [queue.plan.instances[0]: 700]).admitted.isEmpty)
    }

    @Test func `what nobody asked the store about is asked for at once`() throws {
        let admission = admit(try queue([[lock]]), [:])
        #expect(admission.admitted.isEmpty && admission.lookAgain == 1)
    }

    @Test func `a resource is held while a job may exist, and between attempts while its unit goes on`()
        throws
    {
        var plan = Plan(symbols: ["BTCUSDT"], timeRange: "2024-08-01:2024-08-01", steps: [])
        let (load, store) = (try #require(StepID("load")), try #require(StepID("store")))
        var reader = PlannedStep(
            id: store, target: .arangoConnector, type: "api_candles_5m", interval: .minute5, input: load)
        reader.locks = [try #require(ResourceName("gpu"))]
        plan.steps = [
            PlannedStep(id: load, target: .loaderAPICandles, type: "api_candles_5m", interval: .minute5),
            reader,
        ]
        var queue = QueueState.new(
            NewQueue(
                queueID: try #require(QueueID("wf-test-aaaaaa")), plan: plan, request: .null, asOf: 0,
                traceparent: nil, idempotencyKey: nil, requestHash: ""))
        let context = OperationContext(now: 0, policy: EnginePolicy(), jitter: 0)
        let (first, second) = (plan.instances[0], plan.instances[1])
        let hold = ResourceHold(lock, second)
        func held(_ stored: Set<ResourceHold>) -> Set<ResourceHold> {
            ResourceView.wanted(by: queue, stored: stored, InstanceLimits(), PlanLayout(plan))
        }
        #expect(held([]).isEmpty)
        queue.apply(.begin, context)
        for id in [first, second] {
            queue.apply(.createAttempt(id, ControlPosition(partition: 0, offset: 0)), context)
        }
        #expect(held([]) == [hold])
        queue.apply(
            .input(.lost(attempt: 1, countsAsFailure: true, reason: "x"), second, stop: nil), context)
        #expect(held([hold]) == [hold])
        queue.apply(.jobGone(AttemptID(second, 1)), context)
        #expect(held([hold]) == [hold], "its loader still runs")
        #expect(held([]).isEmpty, "what it never had it does not get by that")
        queue.apply(.input(.finished(attempt: 1), first, stop: nil), context)
        #expect(held([hold]).isEmpty)
    }

    @Test(arguments: ["lock:gpu-0", "semaphore:x.y", "target:arango-connector", "overall"])
    func `a resource is known by its name`(name: String) {
        #expect(Resource(name)?.name == name)
    }

    @Test(arguments: ["", "lock:", "lock", "target:nobody", "other:x", "lock:a b"])
    func `what is no resource is none`(name: String) {
        #expect(Resource(name) == nil)
    }

    @Test func `limits of targets are read, mistakes refused`() {
        #expect(
            LimitSettings.parse(["arango-candles=4", "dummy-service=1"])
                == [.arangoConnector: 4, .dummyService: 1])
        for bad in [["x=1"], ["dummy-service"], ["dummy-service=0"], ["dummy-service=1", "dummy-service=2"]] {
            #expect(LimitSettings.parse(bad) == nil)
        }
    }
}
