import PostgresBridge
import TestSupport
import Testing
import Workflow

@testable import QueueManager

/// How a trained model gets into the registry, what becomes of it there, and how later steps find it.
@Suite(.timeLimit(.minutes(2)))
struct ModelRegistryTests {
    private static let body = #"""
        {"symbols":["BTCUSDT","ETHUSDT"],"time_range":"2024-08-01:2024-08-03","steps":[
         {"id":"graph","target":"graph-builder","params":{"collections":"c","interval":"1h"}},
         {"id":"train","target":"gnn-trainer","after":["graph"],"params":{"model":"mine"}},
         {"id":"ask","target":"gnn-infer","after":["train"]}]}
        """#

    private func create(_ engine: EngineFixture, _ suffix: String) async throws -> QueueID {
        let json = try MessageCodec.decode(JSONValue.self, fromText: Self.body)
        let id = try #require(QueueID("wf-test-\(suffix)"))
        _ = try await engine.store.create(
            NewQueue(
                queueID: id, plan: try PlanBuilder().build(json), request: json, asOf: 5, traceparent: nil,
                idempotencyKey: nil, requestHash: ""))
        return id
    }

    /// Waits until a step is launched, then says for its worker that it is finished.
    private func finish(
        _ step: String, of id: QueueID, _ engine: EngineFixture, _ extra: [String: JSONValue]
    ) async throws {
        let launches = engine.launcher.launched.count { $0 == "\(step)[all]/1" }
        try await engine.reconcile(id) { _, instances in
            instances.contains { $0.id.step.rawValue == step && $0.machine.state == .starting }
                && engine.launcher.launched.count { $0 == "\(step)[all]/1" } >= launches
                && engine.launcher.environments["\(step)[all]"]?["QUEUE_ID"] == id.rawValue
        }
        try await engine.apply(try engine.event(id, step, .started, seq: 1, instance: "all"))
        var event = try engine.event(id, step, .finished, seq: 2, instance: "all")
        event.extra = extra
        try await engine.apply(event)
    }

    private func trained(_ model: String, auc: Double) -> [String: JSONValue] {
        [
            "model_place": .string("models/mine/\(model)"), "task": .string("direction"),
            "horizon_ms": .integer(3_600_000), "graph": .string("g"), "graph_version": .string("v"),
            "graph_helps": .string("not_shown"), "summary": .string("It is not shown."),
            "metrics": .object(["gatv2": .object(["auc": .object(["value": .number(auc)])])]),
        ]
    }

    /// Runs a queue to the end of its training.
    private func train(
        _ engine: EngineFixture, _ suffix: String, model: String, auc: Double = 0.5
    ) async throws -> QueueID {
        let id = try await create(engine, suffix)
        try await finish("graph", of: id, engine, ["version": .string("00000000000000aa")])
        try await finish("train", of: id, engine, trained(model, auc: auc))
        return id
    }

    @Test func `steps are told what the steps before them made`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await train(engine, "aaa111", model: "00000000000000ff")
            let training = try #require(engine.launcher.environments["train[all]"])
            #expect(training["GRAPH_COLLECTION"] == "market_graph_1h")
            #expect(training["GRAPH_VERSION"] == "00000000000000aa" && training["MODEL_NAME"] == "mine")
            #expect(training["MODEL_PLACE"] == nil && training["TYPE"] == "gnn_train")
            try await engine.reconcile(id) { _, _ in engine.launcher.launched.contains("ask[all]/1") }
            let asking = try #require(engine.launcher.environments["ask[all]"])
            #expect(asking["MODEL_PLACE"] == "models/mine/00000000000000ff")
            #expect(asking["GRAPH_VERSION"] == "00000000000000aa")
            #expect(asking["COLLECTION_OUTPUT"] == "predictions_mine")
        }
    }

    @Test func `a model is registered with the end of its training, once, and numbered`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let store = ModelStore(pool)
            let name = try #require(ModelName("mine"))
            #expect(try await store.models(nil, stage: nil, after: nil, limit: 10).isEmpty)
            let first = try await train(engine, "aaa111", model: "0000000000000001")
            _ = try await train(engine, "aaa222", model: "0000000000000002")
            // The same training again is the same model.
            _ = try await train(engine, "aaa333", model: "0000000000000001")
            let rows = try await store.models(name, stage: nil, after: nil, limit: 10)
            #expect(rows.map(\.version) == [2, 1] && rows.allSatisfy { $0.stage == .candidate })
            #expect(rows[1].queueID == first.rawValue && rows[1].place.id == "0000000000000001")
            #expect(try await store.model(name, .newest)?.version == 2)
            #expect(
                try await store.models(nil, stage: nil, after: ("mine", 2), limit: 10).map(\.version) == [1])
        }
    }

    @Test func `a stage holds one version, and the one before is archived`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let store = ModelStore(pool)
            let name = try #require(ModelName("mine"))
            _ = try await train(engine, "aaa111", model: "0000000000000001")
            _ = try await train(engine, "aaa222", model: "0000000000000002")
            #expect(try await store.model(name, .stage(.production)) == nil)
            #expect(try await store.promote(name, version: 1, to: .production)?.archived == nil)
            // At once, as two people may ask.
            async let one = store.promote(name, version: 2, to: .production)
            async let other = store.promote(name, version: 2, to: .production)
            #expect(Set([try await one?.archived, try await other?.archived]) == [1, nil])
            #expect(try await store.model(name, .stage(.production))?.version == 2)
            #expect(try await store.model(name, .version(1))?.stage == .archived)
            #expect(try await store.promote(name, version: 3, to: .staging) == nil)
        }
    }

    @Test func `a queue asks the version that was in the stage when it was created`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let store = ModelStore(pool)
            let name = try #require(ModelName("mine"))
            let json = try MessageCodec.decode(
                JSONValue.self,
                fromText: #"""
                    {"symbols":["BTCUSDT","ETHUSDT"],"time_range":"2024-08-01:2024-08-03","steps":[
                     {"id":"ask","target":"gnn-infer","params":{"graph":"g","model":"mine"}}]}
                    """#)
            let plan = try PlanBuilder().build(json)
            let pins = ModelPins(store: store)
            let error = await #expect(throws: RequestError.self) { _ = try await pins.pinned(plan) }
            #expect(error?.code == .notFound && error?.field == "steps[0].params.model")
            _ = try await train(engine, "aaa111", model: "0000000000000001")
            _ = try await store.promote(name, version: 1, to: .production)
            let pinned = try await pins.pinned(plan)
            #expect(pinned.steps[0].model?.modelPlace?.id == "0000000000000001")
        }
    }

    @Test func `two versions are compared measure by measure`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let store = ModelStore(pool)
            let name = try #require(ModelName("mine"))
            _ = try await train(engine, "aaa111", model: "0000000000000001", auc: 0.5)
            _ = try await train(engine, "aaa222", model: "0000000000000002", auc: 0.75)
            let comparison = ModelComparison(
                first: try #require(try await store.model(name, .version(2))),
                second: try #require(try await store.model(name, .version(1))))
            let answer = comparison.answer.members ?? [:]
            let auc = answer["metrics"]?.members?["gatv2"]?.members?["auc"]?.members
            #expect(auc?["difference"]?.measure == 0.25 && answer["is_same_test"] == .bool(true))
        }
    }
}
