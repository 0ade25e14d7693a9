import Testing
import Workflow

@Suite struct ModelStepTests {
    private static let graph =
        #"{"id":"graph","target":"graph-builder","params":{"collections":"c","interval":"1h"}}"#

    private func plan(_ steps: String...) throws -> Plan {
        try builtPlan(steps: "[\(([Self.graph] + steps).joined(separator: ","))]")
    }

    private func refusal(_ steps: String...) throws -> RequestError {
        try WorkflowTests.refusal(steps: "[\(([Self.graph] + steps).joined(separator: ","))]")
    }

    @Test func `a training takes the graph of the step before it`() throws {
        let plan = try plan(#"{"id":"train","target":"gnn_trainer","after":["graph"]}"#)
        let step = try #require(plan.steps.last)
        #expect(step.target == .gnnTrainer && step.type == "gnn_train" && step.fanOut == .none)
        #expect(plan.instances(of: step).map(\.name) == ["all"])
        let sources = try #require(step.model)
        #expect(sources.graph == "market_graph_1h" && sources.graphStep?.rawValue == "graph")
        #expect(sources.model.rawValue == "market_graph_1h_model" && step.workerSettings == [:])
        let text = try MessageCodec.encodeText(plan)
        #expect(try MessageCodec.decode(Plan.self, fromText: text) == plan)
    }

    @Test func `parameters of a training become settings of the worker`() throws {
        let plan = try plan(
            #"""
            {"id":"train","target":"gnn-trainer","after":["graph"],
             "params":{"model":"mine","task":"return","horizon":4,"embargo":24,"dead_band":0.001,"epochs":12,
               "learning_rate":0.01,"layers":1,"heads":2,"channels":8,"dropout":0.2,"norm":"graph","seed":7,
               "class_weights":"even","batch":8,"patience":3,"checkpoint_every":2,"attempts_max":2}}
            """#)
        let step = try #require(plan.steps.last)
        #expect(
            step.workerSettings == [
                "GNN_TASK": "return", "GNN_HORIZON": "4", "GNN_EMBARGO": "24", "GNN_DEAD_BAND": "0.001",
                "EPOCHS": "12", "LEARNING_RATE": "0.01", "GNN_LAYERS": "1", "GNN_HEADS": "2",
                "GNN_CHANNELS": "8", "GNN_DROPOUT": "0.2", "GNN_NORM": "graph", "GNN_SEED": "7",
                "GNN_CLASS_WEIGHTS": "even", "GNN_BATCH": "8", "GNN_PATIENCE": "3",
                "GNN_CHECKPOINT_EVERY": "2",
            ])
        #expect(step.model?.model.rawValue == "mine" && step.attemptsMax == 2)
    }

    @Test func `who asks takes graph and model of the steps before it, near or far`() throws {
        let plan = try plan(
            #"{"id":"ask","target":"gnn-infer","after":["train"]}"#,
            #"{"id":"train","target":"gnn-trainer","after":["graph"],"params":{"model":"mine"}}"#)
        let sources = try #require(plan.steps[1].model)
        #expect(sources.graphStep?.rawValue == "graph" && sources.modelStep?.rawValue == "train")
        #expect(sources.model.rawValue == "mine" && sources.wanted == nil)
        #expect(sources.collection == "predictions_mine")
    }

    @Test func `a model that is there already is wanted by version or stage`() throws {
        let stages = try plan(
            #"{"id":"ask","target":"gnn-infer","after":["graph"],"params":{"model":"mine"}}"#,
            #"""
            {"id":"other","target":"gnn-infer",
             "params":{"graph":"far","graph_version":"00000000000000aa","model":"mine","model_version":3,
                       "collection_name":"kept"}}
            """#)
        #expect(stages.steps[1].model?.wanted == "production" && stages.steps[1].model?.modelStep == nil)
        let other = try #require(stages.steps[2].model)
        #expect(other.wanted == "3" && other.graphVersion == "00000000000000aa" && other.graph == "far")
        #expect(other.collection == "kept" && other.graphStep == nil)
    }

    @Test(arguments: [
        (#""target":"gnn-trainer""#, "steps[1].params.graph_step"),
        (
            #""target":"gnn-trainer","after":["graph"],"params":{"graph_step":"x"}"#,
            "steps[1].params.graph_step"
        ),
        (#""target":"gnn-trainer","params":{"graph":"1x"}"#, "steps[1].params.graph"),
        (
            #""target":"gnn-trainer","params":{"graph_version":"00000000000000aa"}"#,
            "steps[1].params.graph_version"
        ),
        (
            #""target":"gnn-trainer","params":{"graph":"g","graph_step":"graph"}"#,
            "steps[1].params.graph_step"
        ),
        (#""target":"gnn-trainer","after":["graph"],"params":{"model":"a/b"}"#, "steps[1].params.model"),
        (#""target":"gnn-trainer","after":["graph"],"params":{"task":"x"}"#, "steps[1].params.task"),
        (#""target":"gnn-trainer","after":["graph"],"params":{"epochs":0}"#, "steps[1].params.epochs"),
        (#""target":"gnn-trainer","after":["graph"],"params":{"dropout":1}"#, "steps[1].params.dropout"),
        (
            #""target":"gnn-trainer","after":["graph"],"params":{"collection_name":"x"}"#,
            "steps[1].params.collection_name"
        ),
        (#""target":"gnn-trainer","after":["graph"],"fan_out":"symbol""#, "steps[1].fan_out"),
        (#""target":"gnn-trainer","after":["graph"],"type":"api_candles_1h""#, "steps[1].type"),
        (#""target":"gnn-infer","after":["graph"]"#, "steps[1].params.model_step"),
        (
            #""target":"gnn-infer","after":["graph"],"params":{"model_version":2}"#,
            "steps[1].params.model_version"
        ),
        (
            #""target":"gnn-infer","after":["graph"],"params":{"model":"m","model_version":"x"}"#,
            "steps[1].params.model_version"
        ),
        (#""target":"gnn-infer","after":["graph"],"params":{"epochs":3}"#, "steps[1].params.epochs"),
    ])
    func `a step that cannot work is refused by the field`(members: String, field: String) throws {
        let error = try refusal(#"{"id":"step",\#(members)}"#)
        #expect(error.field == field, "\(error)")
        #expect(error.hint != nil)
    }

    @Test func `names and places of models are safe in keys`() {
        #expect(ModelName("a") != nil && ModelName("A-b_3") != nil)
        for text in ["", "1a", "a/b", "a.b", "ä", String(repeating: "a", count: 64)] {
            #expect(ModelName(text) == nil)
        }
        let place = ModelPlace("models/mine/00000000000000aa")
        #expect(place?.name.rawValue == "mine" && place?.id == "00000000000000aa")
        #expect(place?.rawValue == "models/mine/00000000000000aa")
        for text in [
            "models/mine", "model/mine/00000000000000aa", "models/mine/xx", "models/../00000000000000aa",
        ] {
            #expect(ModelPlace(text) == nil)
        }
    }

    @Test func `the template of the whole chain is a plan`() throws {
        let template = try #require(BuiltInTemplates.all.first { $0.name.rawValue == "candles_to_model" })
        let expansion = try TemplateExpansion(
            template,
            parameters: .object([
                "symbols": .array([.string("BTCUSDT"), .string("ETHUSDT")]),
                "time_range": .string("2024-08-01:2024-08-31"),
            ]))
        let plan = try PlanBuilder().build(expansion.body)
        #expect(plan.steps.map(\.id.rawValue) == ["load", "store", "graph", "train", "infer"])
        #expect(plan.steps[4].model?.modelStep?.rawValue == "train")
        #expect(plan.steps[3].workerSettings?["EPOCHS"] == "30")
    }
}
