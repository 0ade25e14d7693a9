import Testing
import Workflow

/// A running queue of some steps; instances that are not named wait and were never tried.
struct PlannerScene {
    let plan: Plan
    var instances: [InstanceID: QueueSnapshot.Instance] = [:]
    var now: Int64 = 1_000

    init(_ plan: Plan) {
        self.plan = plan
        for id in plan.instances { set(id, .waiting) }
    }

    mutating func set(
        _ id: InstanceID, _ state: InstanceMachine.State, reason: String? = nil, written: Int64 = 0,
        read: Int64 = 0, notBefore: Int64 = 0, attempt: Int? = nil
    ) {
        let wasTried = state != .waiting && state != .skipped
        instances[id] = QueueSnapshot.Instance(
            machine: InstanceMachine(
                state: state, attempt: attempt ?? (wasTried ? 1 : 0), reason: reason, attemptsMax: 3),
            counts: InstanceCounts(recordsRead: read, recordsWritten: written), notBefore: notBefore)
    }

    mutating func set(
        _ name: String, _ state: InstanceMachine.State, reason: String? = nil, written: Int64 = 0,
        read: Int64 = 0, notBefore: Int64 = 0, attempt: Int? = nil
    ) throws {
        let id = try #require(plan.instances.first { $0.description == name }, "\(name)")
        set(id, state, reason: reason, written: written, read: read, notBefore: notBefore, attempt: attempt)
    }

    /// The decisions as text, e.g. `launch load[BTCUSDT]`.
    var decisions: [String] {
        QueuePlanner.decide(
            QueueSnapshot(status: .running, plan: plan, instances: instances, now: now)
        ).map { decision in
            switch decision {
            case .prepare: "prepare"
            case .launch(let id): "launch \(id)"
            case .cancel(let id, let reason): "cancel \(id) \(reason)"
            case .skip(let id, let reason): "skip \(id) \(reason)"
            case .suspend(let id): "suspend \(id)"
            case .loseData(let id, let reason): "lose data of \(id) \(reason)"
            case .runAgain(let reason): "run again \(reason)"
            case .end(let status, let reason): "end \(status.rawValue)" + (reason.map { " \($0)" } ?? "")
            case .lookAgain(let at): "look at \(at)"
            }
        }
    }
}

struct PlannerConditionTests {
    private static func dummy(_ id: String, _ more: String = "") -> String {
        #"{"id":"\#(id)","target":"dummy-service"\#(more)}"#
    }

    private func scene(_ steps: String...) throws -> PlannerScene {
        PlannerScene(try builtPlan(steps: "[\(steps.joined(separator: ","))]"))
    }

    private static let ifWritten =
        #","when":[{"step":"a","field":"records_written","op":">","value":0}]"#
    private static let ifFailed = #","when":[{"step":"a","field":"status","op":"==","value":"failed"}]"#

    @Test func `a condition is judged for each instance, as soon as its own is over`() throws {
        var scene = try scene(Self.dummy("a"), Self.dummy("b", Self.ifWritten))
        try scene.set("a[BTCUSDT]", .finished, written: 5)
        try scene.set("a[ETHUSDT]", .running)
        #expect(scene.decisions == ["launch b[BTCUSDT]"])
        try scene.set("b[BTCUSDT]", .running)
        try scene.set("a[ETHUSDT]", .finished)
        #expect(scene.decisions == ["skip b[ETHUSDT] condition_not_met"])
    }

    @Test func `with after too it waits for the whole step`() throws {
        var scene = try scene(Self.dummy("a"), Self.dummy("b", Self.ifWritten + #","after":["a"]"#))
        try scene.set("a[BTCUSDT]", .finished, written: 5)
        try scene.set("a[ETHUSDT]", .running)
        #expect(scene.decisions.isEmpty)
        try scene.set("a[ETHUSDT]", .finished)
        #expect(scene.decisions == ["launch b[BTCUSDT]", "skip b[ETHUSDT] condition_not_met"])
    }

    @Test func `between different fan-outs the sum counts`() throws {
        var scene = try scene(Self.dummy("a"), Self.dummy("b", Self.ifWritten + #","fan_out":"none""#))
        try scene.set("a[BTCUSDT]", .finished)
        #expect(scene.decisions == ["launch a[ETHUSDT]"])
        try scene.set("a[ETHUSDT]", .finished, written: 1)
        #expect(scene.decisions == ["launch b[all]"])
        try scene.set("a[ETHUSDT]", .finished)
        #expect(scene.decisions == ["skip b[all] condition_not_met"])
    }

    @Test func `what its conditions skipped counts as success, also for what comes after`() throws {
        var scene = try scene(
            Self.dummy("a"), Self.dummy("b", Self.ifWritten), Self.dummy("c", #","after":["b"]"#))
        for symbol in ["BTCUSDT", "ETHUSDT"] {
            try scene.set("a[\(symbol)]", .finished)
            try scene.set("b[\(symbol)]", .skipped, reason: "condition_not_met")
        }
        #expect(scene.decisions == ["launch c[BTCUSDT]", "launch c[ETHUSDT]"])
        for symbol in ["BTCUSDT", "ETHUSDT"] { try scene.set("c[\(symbol)]", .finished) }
        #expect(scene.decisions == ["end finished"])
    }

    @Test func `a failure is told before a condition, whichever came first`() throws {
        var scene = try scene(
            Self.dummy("a"), Self.dummy("x"), Self.dummy("b", Self.ifWritten + #","after":["x"]"#))
        for symbol in ["BTCUSDT", "ETHUSDT"] { try scene.set("a[\(symbol)]", .finished) }
        try scene.set("x[BTCUSDT]", .running)
        try scene.set("x[ETHUSDT]", .running)
        #expect(scene.decisions.isEmpty)
        try scene.set("x[ETHUSDT]", .failed, reason: "broken")
        #expect(
            scene.decisions == [
                "skip b[BTCUSDT] step x did not finish", "skip b[ETHUSDT] step x did not finish",
            ])
    }

    @Test func `a condition on counts does not outlive a failure, one on the status does`() throws {
        var scene = try scene(
            Self.dummy("a"), Self.dummy("b", Self.ifWritten), Self.dummy("clean", Self.ifFailed))
        try scene.set("a[BTCUSDT]", .failed, reason: "broken", written: 5)
        try scene.set("a[ETHUSDT]", .finished, written: 5)
        #expect(
            scene.decisions == [
                "skip b[BTCUSDT] step a did not finish", "launch b[ETHUSDT]", "launch clean[BTCUSDT]",
                "skip clean[ETHUSDT] condition_not_met",
            ])
        try scene.set("b[BTCUSDT]", .skipped, reason: "step a did not finish")
        try scene.set("b[ETHUSDT]", .finished)
        try scene.set("clean[BTCUSDT]", .finished)
        try scene.set("clean[ETHUSDT]", .skipped, reason: "condition_not_met")
        // The clean-up went well; the queue failed all the same, for the cause and not for what it skipped.
        #expect(scene.decisions == ["end failed a[BTCUSDT] and 1 more did not finish: broken"])
    }

    @Test func `a status condition takes the place of after on the same step`() throws {
        var scene = try scene(Self.dummy("a"), Self.dummy("clean", Self.ifFailed + #","after":["a"]"#))
        try scene.set("a[BTCUSDT]", .failed, reason: "broken")
        #expect(scene.decisions == ["launch a[ETHUSDT]"])
        try scene.set("a[ETHUSDT]", .finished)
        #expect(scene.decisions == ["launch clean[BTCUSDT]", "skip clean[ETHUSDT] condition_not_met"])
    }

    @Test func `a reader whose producer was not needed is not needed either`() throws {
        var scene = try scene(
            Self.dummy("a"),
            #"{"id":"load","target":"loader-api-candles","type":"api_candles_5m"\#(Self.ifWritten)}"#,
            #"{"id":"store","target":"arango-connector","input":"load"}"#)
        for symbol in ["BTCUSDT", "ETHUSDT"] { try scene.set("a[\(symbol)]", .finished, written: 0) }
        try scene.set("a[ETHUSDT]", .finished, written: 1)
        #expect(
            scene.decisions == [
                "skip load[BTCUSDT] condition_not_met", "launch load[ETHUSDT]", "launch store[ETHUSDT]",
            ])
        try scene.set("load[BTCUSDT]", .skipped, reason: "condition_not_met")
        try scene.set("load[ETHUSDT]", .finished, written: 9)
        try scene.set("store[ETHUSDT]", .finished, read: 9)
        #expect(scene.decisions == ["skip store[BTCUSDT] condition_not_met"])
        try scene.set("store[BTCUSDT]", .skipped, reason: "condition_not_met")
        #expect(scene.decisions == ["end finished"])
    }

    @Test func `a producer goes without a reader that its conditions skipped`() throws {
        var scene = try scene(
            Self.dummy("a"), #"{"id":"load","target":"loader-api-candles","type":"api_candles_5m"}"#,
            #"{"id":"store","target":"arango-connector","input":"load"\#(Self.ifWritten)}"#)
        try scene.set("a[BTCUSDT]", .finished)
        try scene.set("a[ETHUSDT]", .running)
        #expect(scene.decisions == ["skip store[BTCUSDT] condition_not_met"])
        try scene.set("store[BTCUSDT]", .skipped, reason: "condition_not_met")
        // The other pair waits as one for what its reader waits for.
        #expect(scene.decisions == ["launch load[BTCUSDT]"])
    }
}

struct PlannerUnitTests {
    private static let pair = #"""
        [{"id":"load","target":"loader-api-candles","type":"api_candles_5m"},
         {"id":"store","target":"arango-connector","input":"load"}]
        """#

    private func scene(_ more: String = "") throws -> PlannerScene {
        PlannerScene(try builtPlan(steps: Self.pair, more))
    }

    @Test func `both sides of a stream edge are launched together, unit by unit`() throws {
        #expect(
            try scene().decisions == [
                "launch load[BTCUSDT]", "launch store[BTCUSDT]", "launch load[ETHUSDT]",
                "launch store[ETHUSDT]",
            ])
    }

    @Test func `max_parallel takes whole units only`() throws {
        var scene = try scene(#","max_parallel":3"#)
        #expect(scene.decisions == ["launch load[BTCUSDT]", "launch store[BTCUSDT]"])
        try scene.set("load[BTCUSDT]", .running)
        try scene.set("store[BTCUSDT]", .starting)
        #expect(scene.decisions.isEmpty)
        // One place is free again, a unit needs two.
        try scene.set("load[BTCUSDT]", .finished)
        #expect(scene.decisions == ["launch load[ETHUSDT]", "launch store[ETHUSDT]"])
    }

    @Test func `the place of an instance that is tried again is kept for it`() throws {
        var scene = try scene(#","max_parallel":2"#)
        try scene.set("load[BTCUSDT]", .waiting, notBefore: 1_500, attempt: 1)
        try scene.set("store[BTCUSDT]", .running)
        #expect(scene.decisions == ["look at 1500"])
        scene.now = 1_500
        #expect(scene.decisions == ["launch load[BTCUSDT]"])
    }

    @Test func `a unit without a live attempt begins again as a whole, when its last one may`() throws {
        var scene = try scene(#","max_parallel":2"#)
        try scene.set("load[BTCUSDT]", .waiting, notBefore: 1_500, attempt: 1)
        try scene.set("store[BTCUSDT]", .waiting, notBefore: 900, attempt: 1)
        // Nobody holds a place meanwhile: the next unit goes first.
        #expect(scene.decisions == ["look at 1500", "launch load[ETHUSDT]", "launch store[ETHUSDT]"])
        scene.now = 1_500
        #expect(scene.decisions == ["launch load[BTCUSDT]", "launch store[BTCUSDT]"])
    }

    @Test func `smaller units do not overtake a larger one for ever`() throws {
        var scene = PlannerScene(
            try builtPlan(
                steps: #"""
                    [{"id":"first","target":"dummy-service","fan_out":"none"},
                     {"id":"load","target":"loader-api-candles","type":"api_candles_5m"},
                     {"id":"store","target":"arango-connector","input":"load"},
                     {"id":"small","target":"dummy-service"}]
                    """#, #","max_parallel":2"#))
        #expect(scene.decisions == ["launch first[all]"])
        try scene.set("first[all]", .running)
        #expect(scene.decisions.isEmpty)
        try scene.set("first[all]", .finished)
        #expect(scene.decisions == ["launch load[BTCUSDT]", "launch store[BTCUSDT]"])
    }

    @Test func `a unit waits for what any of its sides waits for`() throws {
        var scene = PlannerScene(
            try builtPlan(
                steps: #"""
                    [{"id":"first","target":"dummy-service","fan_out":"none"},
                     {"id":"load","target":"loader-api-candles","type":"api_candles_5m"},
                     {"id":"store","target":"arango-connector","input":"load","after":["first"]}]
                    """#))
        #expect(scene.decisions == ["launch first[all]"])
        try scene.set("first[all]", .finished)
        #expect(scene.decisions.count == 4)
    }

    @Test func `units are found over several readers`() throws {
        let plan = try builtPlan(
            steps: #"""
                [{"id":"load","target":"loader-api-candles","type":"api_candles_5m"},
                 {"id":"a","target":"arango-connector","input":"load","params":{"collection_name":"a"}},
                 {"id":"b","target":"arango-connector","input":"load","params":{"collection_name":"b"}}]
                """#)
        let units = PlanLayout(plan).units.map { $0.members.map(\.description) }
        #expect(
            units == [
                ["load[BTCUSDT]", "a[BTCUSDT]", "b[BTCUSDT]"], ["load[ETHUSDT]", "a[ETHUSDT]", "b[ETHUSDT]"],
            ])
    }

    @Test func `a reader of several partitions is one unit with all it reads`() throws {
        // No worker of this version does; plans of later ones will.
        let load = try #require(StepID("load"))
        var store = PlannedStep(
            id: try #require(StepID("store")), target: .arangoConnector, type: "api_candles_5m",
            interval: .minute5, input: load)
        store.fanOut = .none
        let plan = Plan(
            symbols: ["BTCUSDT", "ETHUSDT"], timeRange: "2024-08-01:2024-08-01",
            steps: [
                PlannedStep(id: load, target: .loaderAPICandles, type: "api_candles_5m", interval: .minute5),
                store,
            ])
        #expect(plan.instances(of: store).map(\.inputs) == [["BTCUSDT", "ETHUSDT"]])
        var scene = PlannerScene(plan)
        #expect(PlanLayout(plan).units.count == 1 && scene.decisions.count == 3)
        try scene.set("load[BTCUSDT]", .finished, written: 2)
        try scene.set("load[ETHUSDT]", .finished, written: 3)
        try scene.set("store[all]", .finished, read: 5)
        #expect(scene.decisions == ["end finished"])
        try scene.set("store[all]", .finished, read: 4)
        #expect(
            scene.decisions == ["end failed counts disagree for all: load wrote 5 records, store read 4"])
    }
}
