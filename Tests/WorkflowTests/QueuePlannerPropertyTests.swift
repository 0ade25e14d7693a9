import Testing
import Workflow

/// Random plans with random outcomes: every queue ends, and no unit is ever launched partly or beyond the limit.
struct QueuePlannerPropertyTests {
    @Test func `every queue ends, units are launched whole and within the limit`() throws {
        var ends: [QueueStatus: Int] = [:]
        var runsMax = 1
        for seed in Seeds.all {
            var random = SplitMix64(seed: seed)
            let body = RandomPlan.body(using: &random)
            let plan: Plan
            do {
                plan = try PlanBuilder().build(body)
            } catch {
                Issue.record("seed \(seed): the plan was refused: \(error)")
                continue
            }
            var run = PlannerRun(plan: plan, seed: seed, random: random)
            run.drive()
            #expect(run.end != nil, "seed \(seed): no end after \(run.rounds) rounds")
            run.checkEnd()
            runsMax = max(runsMax, run.runs)
            if let end = run.end { ends[end, default: 0] += 1 }
        }
        // Else the outcomes are too much alike to show anything.
        if Seeds.all.count >= 500 {
            for status in [QueueStatus.finished, .failed, .stopped] {
                #expect(ends[status] ?? 0 > 20, "ended so: \(ends)")
            }
            #expect(runsMax > 1 && runsMax <= DataLoss.runsMax)
        }
    }
}

/// Makes bodies of start requests that are right.
private enum RandomPlan {
    static func body(using random: inout SplitMix64) -> JSONValue {
        let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT"].prefix(Int.random(in: 1...3, using: &random))
        var steps: [JSONValue] = []
        var ids: [String] = []
        var unitMax = 1
        for index in 0..<Int.random(in: 1...5, using: &random) {
            var links = self.links(to: ids, using: &random)
            links["id"] = .string("s\(index)")
            guard Int.random(in: 0..<3, using: &random) == 0 else {
                links["target"] = .string("dummy-service")
                links["fan_out"] = fanOut(using: &random)
                steps.append(.object(links))
                ids.append("s\(index)")
                continue
            }
            links["target"] = .string("loader-api-candles")
            links["type"] = .string("api_candles_1h")
            if Bool.random(using: &random) {
                links["fan_out"] = .object([
                    "by": .array([.string("symbol"), .string("time")]), "shard_days": .integer(2),
                ])
            }
            steps.append(.object(links))
            let readers = Int.random(in: 0...2, using: &random)
            unitMax = max(unitMax, readers + 1)
            for reader in 0..<readers {
                var store = self.links(to: ids, using: &random)
                store["id"] = .string("s\(index)-r\(reader)")
                store["target"] = .string("arango-connector")
                store["input"] = .string("s\(index)")
                steps.append(.object(store))
            }
            ids += ["s\(index)"] + (0..<readers).map { "s\(index)-r\($0)" }
        }
        var fields: [String: JSONValue] = [
            "symbols": .array(symbols.map { .string($0) }), "time_range": .string("2024-08-01:2024-08-03"),
            "steps": .array(steps),
        ]
        if Bool.random(using: &random) {
            fields["max_parallel"] = .integer(Int64(Int.random(in: unitMax...unitMax + 3, using: &random)))
        }
        return .object(fields)
    }

    private static func fanOut(using random: inout SplitMix64) -> JSONValue? {
        switch Int.random(in: 0..<3, using: &random) {
        case 0: .string("none")
        case 1: .object(["by": .array([.string("time"), .string("symbol")]), "shard_days": .integer(2)])
        default: nil
        }
    }

    /// `after` and `when` that name earlier steps only.
    private static func links(to ids: [String], using random: inout SplitMix64) -> [String: JSONValue] {
        var links: [String: JSONValue] = [:]
        if let id = ids.randomElement(using: &random), Bool.random(using: &random) {
            links["after"] = .array([.string(id)])
        }
        guard let id = ids.randomElement(using: &random), Bool.random(using: &random) else { return links }
        let condition: [String: JSONValue] =
            Bool.random(using: &random)
            ? ["field": .string("records_written"), "op": .string(">"), "value": .integer(0)]
            : ["field": .string("status"), "op": .string("=="), "value": .string("failed")]
        links["when"] = .array([.object(condition.merging(["step": .string(id)]) { $1 })])
        return links
    }
}

/// Carries out what the planner decides, with outcomes drawn at random; time passes only when asked for.
private struct PlannerRun {
    let plan: Plan
    let seed: UInt64
    var random: SplitMix64
    private let units: [PlanLayout.Unit]
    private let inputs: [InstanceID: InstanceID]
    private var instances: [InstanceID: QueueSnapshot.Instance] = [:]
    private var now: Int64 = 0
    private var status = QueueStatus.running
    private(set) var runs = 1
    private(set) var end: QueueStatus?
    private(set) var rounds = 0
    private static let roundsMax = 5_000

    init(plan: Plan, seed: UInt64, random: SplitMix64) {
        self.plan = plan
        self.seed = seed
        self.random = random
        units = PlanLayout(plan).units
        var inputs: [InstanceID: InstanceID] = [:]
        for step in plan.steps {
            for instance in plan.instances(of: step) {
                if let input = step.input, let name = instance.inputs.first {
                    inputs[instance.id] = InstanceID(step: input, instance: name)
                }
                instances[instance.id] = QueueSnapshot.Instance(
                    machine: InstanceMachine(attemptsMax: 3), counts: InstanceCounts(), notBefore: 0)
            }
        }
        self.inputs = inputs
    }

    mutating func drive() {
        while end == nil, rounds < Self.roundsMax {
            rounds += 1
            if rounds == 8, Int.random(in: 0..<6, using: &random) == 0 { status = .stopping }
            var decisions = QueuePlanner.decide(
                QueueSnapshot(status: status, run: runs, plan: plan, instances: instances, now: now))
            checkLaunches(decisions)
            // An engine may be stopped between any two of its steps.
            if Int.random(in: 0..<10, using: &random) == 0 { decisions = Array(decisions.prefix(1)) }
            let isIdle = decisions.allSatisfy { if case .lookAgain = $0 { true } else { false } }
            for decision in decisions { carryOut(decision) }
            checkLimit()
            let hasMoved = moveOneAttempt()
            guard isIdle, !hasMoved || Bool.random(using: &random) else { continue }
            let waits = instances.values.filter { $0.machine.state == .waiting }.map(\.notBefore)
            if let next = waits.filter({ $0 > now }).min() {
                now = next
            } else if !hasMoved {
                return
            }
        }
    }

    private mutating func carryOut(_ decision: QueuePlanner.Decision) {
        switch decision {
        case .launch(let id): apply(.launch, to: id)
        case .cancel(let id, let reason): apply(.cancel(reason: reason), to: id)
        case .skip(let id, let reason): apply(.skip(reason: reason), to: id)
        case .loseData(let id, let reason):
            apply(
                .failed(attempt: instances[id]?.machine.attempt ?? 0, isRetriable: false, reason: reason),
                to: id)
            instances[id]?.extra = [DataLoss.key: .bool(true)]
        case .runAgain: runAgain()
        case .end(let status, _): end = status
        case .prepare, .suspend, .lookAgain: break
        }
    }

    private mutating func apply(_ input: InstanceMachine.Input, to id: InstanceID) {
        guard var instance = instances[id] else { return }
        if case .retry = instance.machine.apply(input) {
            instance.notBefore = now + Int64.random(in: 0...100, using: &random)
        }
        instances[id] = instance
    }

    private mutating func runAgain() {
        runs += 1
        let chosen = RetrySelection(plan).instances(
            of: instances.mapValues(\.machine), from: nil, isFailed: true)
        if chosen.isEmpty { Issue.record("seed \(seed): run \(runs) has nothing to do") }
        for id in chosen where instances[id]?.machine.runAgain() ?? false { instances[id]?.extra = [:] }
    }

    /// Lets one live attempt end. A reader ends well only after what it reads has.
    private mutating func moveOneAttempt() -> Bool {
        let live = instances.filter { $0.value.machine.state.hasLiveAttempt }.keys.sorted()
        guard let id = live.randomElement(using: &random), let instance = instances[id] else { return false }
        let attempt = instance.machine.attempt
        let source = inputs[id].flatMap { instances[$0] }
        switch Int.random(in: 0..<24, using: &random) {
        case 0: apply(.failed(attempt: attempt, isRetriable: true, reason: "r"), to: id)
        case 1: apply(.failed(attempt: attempt, isRetriable: false, reason: "r"), to: id)
        case 2: apply(.interrupted(attempt: attempt), to: id)
        case 3: apply(.alive(attempt: attempt), to: id)
        case 4 where source != nil:
            instances[id]?.extra = [DataLoss.key: .bool(true)]
            apply(.failed(attempt: attempt, isRetriable: false, reason: "lost"), to: id)
        default:
            guard instance.machine.isWanted else {
                apply(.interrupted(attempt: attempt), to: id)
                return true
            }
            guard source == nil || source?.machine.state == .finished else { return true }
            let count = source?.counts.recordsWritten ?? Int64.random(in: 0...2, using: &random)
            instances[id]?.counts = InstanceCounts(recordsRead: count, recordsWritten: count)
            apply(.finished(attempt: attempt), to: id)
        }
        return true
    }

    /// Of a unit that has no live attempt all instances that are not over are launched, or none.
    private func checkLaunches(_ decisions: [QueuePlanner.Decision]) {
        let launched = Set(
            decisions.compactMap { decision -> InstanceID? in
                if case .launch(let id) = decision { id } else { nil }
            })
        for unit in units {
            let states = unit.members.compactMap { id in instances[id].map { (id, $0.machine.state) } }
            if states.contains(where: { $0.1.hasLiveAttempt }) { continue }
            let open = Set(states.filter { !$0.1.isFinal }.map(\.0))
            let begun = launched.intersection(open)
            if !begun.isEmpty, begun != open {
                Issue.record("seed \(seed): of \(open) only \(begun) are launched")
            }
        }
    }

    private func checkLimit() {
        guard let parallelMax = plan.parallelMax else { return }
        let live = instances.values.count { $0.machine.state.hasLiveAttempt }
        if live > parallelMax { Issue.record("seed \(seed): \(live) live attempts, \(parallelMax) may be") }
    }

    func checkEnd() {
        let states = instances.values.map(\.machine.state)
        #expect(states.allSatisfy { $0.isFinal }, "seed \(seed): ended with \(states)")
        if end == .finished {
            #expect(!states.contains(.failed) && !states.contains(.interrupted), "seed \(seed): \(states)")
        }
        if states.contains(.failed), status == .running { #expect(end == .failed, "seed \(seed)") }
    }
}
