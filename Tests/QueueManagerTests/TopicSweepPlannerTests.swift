import EngineSimulation
import QueueManager
import Testing
import Workflow

struct TopicSweepPlannerTests {
    private typealias Planner = TopicSweepPlanner

    private let id = QueueID("wf-btc-abc123")

    private static func plan(_ producers: [String]) throws -> Plan {
        let steps = try producers.map { name in
            PlannedStep(
                id: try #require(StepID(name)), target: .loaderAPICandles, type: "api_candles_5m",
                interval: .minute5)
        }
        return Plan(symbols: ["BTCUSDT"], timeRange: "2024-08-01:2024-08-01", steps: steps)
    }

    private func verdict(
        _ topic: String, _ known: [String: TopicOwner]
    ) throws -> Planner.Verdict {
        var owners: [QueueID: TopicOwner] = [:]
        for (name, owner) in known { owners[try #require(QueueID(name))] = owner }
        return try #require(Planner(topics: [topic]).verdicts(owners).first).verdict
    }

    @Test(arguments: [
        "queue-control", "queue-events", "sf-pool-dummy-service", "market-trades", "wf-btc-abc123",
    ])
    func `leaves topics of other kinds alone, whatever is stored`(topic: String) throws {
        let plan = try Self.plan(["load"])
        #expect(try verdict(topic, ["wf-btc-abc123": .cleaned(plan, runs: 9)]) == .foreign)
        #expect(Planner(topics: [topic]).queues.isEmpty)
    }

    @Test func `only counts a topic whose queue is not stored`() throws {
        #expect(try verdict("wf-btc-abc123-data", [:]) == .unknown)
        let plan = try Self.plan(["load"])
        #expect(try verdict("wf-btc-abc123-data", ["wf-btc-zzz999": .cleaned(plan, runs: 1)]) == .unknown)
    }

    @Test func `keeps the topics of an open queue`() throws {
        #expect(try verdict("wf-btc-abc123-data", ["wf-btc-abc123": .open]) == .kept)
        #expect(try verdict("wf-btc-abc123-data-r2-dead", ["wf-btc-abc123": .open]) == .kept)
    }

    @Test func `leaves the topics of a queue that is over to the engine`() throws {
        #expect(try verdict("wf-btc-abc123-data", ["wf-btc-abc123": .ended]) == .kept)
    }

    @Test(arguments: ["", "-dead", "-r2", "-r2-dead"])
    func `takes the topics of a cleaned queue's runs for orphans`(ending: String) throws {
        let owner = TopicOwner.cleaned(try Self.plan(["load"]), runs: 2)
        let id = try #require(id)
        #expect(try verdict("\(id)-data\(ending)", [id.rawValue: owner]) == .orphan(of: id))
    }

    @Test(arguments: ["-data-r3", "-data-r1", "-data-r02", "-data-r+2", "-load-data", "-other-data"])
    func `only counts a topic that a cleaned queue never had`(ending: String) throws {
        let owner = TopicOwner.cleaned(try Self.plan(["load"]), runs: 2)
        #expect(try verdict("wf-btc-abc123\(ending)", ["wf-btc-abc123": owner]) == .unknown)
    }

    @Test func `knows the topics of each of several producers`() throws {
        let id = try #require(id)
        let owner = TopicOwner.cleaned(try Self.plan(["load", "more"]), runs: 1)
        #expect(try verdict("\(id)-more-data", [id.rawValue: owner]) == .orphan(of: id))
        #expect(try verdict("\(id)-data", [id.rawValue: owner]) == .unknown)
    }

    @Test func `a queue that may need a topic of the same name decides`() throws {
        let id = try #require(id)
        let cleaned = TopicOwner.cleaned(try Self.plan(["load12", "more"]), runs: 1)
        let topic = "\(id)-load12-data"
        #expect(try verdict(topic, [id.rawValue: cleaned]) == .orphan(of: id))
        #expect(try verdict(topic, [id.rawValue: cleaned, "\(id)-load12": .open]) == .kept)
        #expect(try verdict(topic, [id.rawValue: cleaned, "\(id)-load12": .ended]) == .kept)
    }

    @Test func `asks about each queue once, in a fixed order`() {
        let topics = ["wf-b-bbbbbb-data", "wf-a-aaaaaa-data-dead", "wf-a-aaaaaa-data", "queue-control"]
        #expect(Planner(topics: topics).queues.map(\.rawValue) == ["wf-a-aaaaaa", "wf-b-bbbbbb"])
        #expect(Planner(topics: topics.reversed()).queues == Planner(topics: topics).queues)
    }

    // MARK: By chance

    /// Few names, so that they meet.
    private static func world(_ random: inout SeededRandom) throws -> [QueueID: (
        plan: Plan, owner: TopicOwner
    )] {
        var world: [QueueID: (plan: Plan, owner: TopicOwner)] = [:]
        for name in ["wf-a-aaaaaa", "wf-a-aaaaaa-load12", "wf-b-bbbbbb", "wf-b-bbbbbb-data-bbbbbb"]
        where Int.random(in: 0..<5, using: &random) > 0 {
            let plan = try plan(Bool.random(using: &random) ? ["load"] : ["load12", "data"])
            let cleaned = TopicOwner.cleaned(plan, runs: Int.random(in: 1...3, using: &random))
            let owners: [TopicOwner] = [.open, .ended, cleaned, cleaned]
            world[try #require(QueueID(name))] = (plan, owners[Int.random(in: 0...3, using: &random)])
        }
        return world
    }

    @Test func `whatever there is, only what cleaned queues had goes, and all of it`() throws {
        for seed in 1...500 as ClosedRange<UInt64> { try check(seed: seed) }
    }

    private func check(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let world = try Self.world(&random)
        var topics = Set([
            "queue-control", "sf-pool-dummy-service", "wf-x-xxxxxx-data", "wf-b-bbbbbb-load-data",
        ])
        for (id, queue) in world { topics.formUnion(queue.plan.topics(id, runs: 4)) }
        let planner = Planner(topics: topics.shuffled(using: &random))
        // Each may be needed by those, whatever their plans say.
        var living: Set<QueueID> = []
        var had: Set<String> = []
        for (id, queue) in world {
            if case .cleaned(let plan, let runs) = queue.owner {
                had.formUnion(plan.topics(id, runs: runs))
            } else {
                living.insert(id)
            }
        }
        for (topic, verdict) in planner.verdicts(world.mapValues(\.owner)) {
            let isNeeded = !living.isDisjoint(with: DerivedName.possibleOwners(ofTopic: topic))
            if case .orphan(let id) = verdict {
                #expect(had.contains(topic) && !isNeeded, "seed \(seed): \(topic) of \(id)")
            } else {
                #expect(!had.contains(topic) || isNeeded, "seed \(seed): \(topic) is \(verdict)")
            }
        }
        #expect(planner.verdicts([:]).allSatisfy { $0.verdict == .unknown || $0.verdict == .foreign })
    }
}
