import Testing
import Workflow

@Suite struct GraphStepTests {
    private static let stored =
        #"{"id":"load","target":"loader-api-candles","type":"api_candles_1h"},{"id":"store","target":"arango-connector","input":"load"}"#

    /// The graph step of a plan that loads and stores candles first.
    private func graph(_ members: String = #""after":["store"]"#) throws -> (Plan, GraphSources) {
        let plan = try builtPlan(
            steps: #"[\#(Self.stored),{"id":"graph","target":"graph_builder",\#(members)}]"#)
        return (plan, try #require(plan.steps.last?.graph))
    }

    private func refusal(_ members: String) throws -> RequestError {
        try WorkflowTests.refusal(
            steps: #"[\#(Self.stored),{"id":"graph","target":"graph-builder",\#(members)}]"#)
    }

    @Test func `a graph step reads what the step before it stores`() throws {
        let (plan, sources) = try graph()
        let step = try #require(plan.steps.last)
        #expect(step.target == .graphBuilder && step.type == "graph_build" && step.interval == "1h")
        #expect(step.fanOut == .none && plan.instances(of: step).map(\.name) == ["all"])
        #expect(sources.candleStep?.rawValue == "store" && sources.graph == "market_graph_1h")
        #expect(
            plan.candleCollections(of: sources) == [
                "btcusdt_api_candles_1h_2024_08_01", "ethusdt_api_candles_1h_2024_08_01",
            ])
        #expect(plan.tradeCollections(of: sources) == nil)
        #expect(step.workerSettings == [:])
    }

    @Test func `a collection that all symbols share is named once`() throws {
        let plan = try builtPlan(
            steps: #"""
                [{"id":"load","target":"loader-api-candles","type":"api_candles_5m",
                  "fan_out":{"by":["symbol","time"],"shard_days":3}},
                 {"id":"store","target":"arango-connector","input":"load","params":{"collection_name":"all"}},
                 {"id":"graph","target":"graph-builder","after":["store"]}]
                """#)
        let sources = try #require(plan.steps.last?.graph)
        #expect(plan.candleCollections(of: sources) == ["all"])
        #expect(sources.graph == "market_graph_5m")
    }

    @Test func `trades are taken from the step that stores them`() throws {
        let plan = try builtPlan(
            steps: #"""
                [\#(Self.stored),{"id":"fills","target":"loader-api-trades","type":"api_trades_raw"},
                 {"id":"keep","target":"arango-connector","input":"fills"},
                 {"id":"graph","target":"graph-builder","after":["store","keep"]}]
                """#)
        let sources = try #require(plan.steps.last?.graph)
        #expect(sources.tradeStep?.rawValue == "keep" && sources.tradeType == "api_trades_raw")
        #expect(plan.tradeCollections(of: sources)?.first == "btcusdt_api_trades_raw_2024_08_01")
    }

    @Test func `collections that are there already need no other step`() throws {
        let plan = try builtPlan(
            steps: #"""
                [{"id":"graph","target":"graph-builder","params":{"collections":["a","b"],"interval":"15m",
                  "trade_collections":"t","graph":"mine","methods":["pearson","lead_lag"],"significance":0.01,
                  "correction":"bonferroni","window":96,"stride":4,"coverage_min":0.9,"lag_max":2,
                  "return_horizons":[1,8],"volatility":12,"rsi":9,"activity":6}}]
                """#)
        let step = plan.steps[0]
        #expect(plan.candleCollections(of: try #require(step.graph)) == ["a", "b"])
        #expect(plan.tradeCollections(of: try #require(step.graph)) == ["t"])
        #expect(
            step.graph?.tradeType == "api_trades" && step.graph?.graph == "mine" && step.interval == "15m")
        #expect(
            step.workerSettings == [
                "GRAPH_METHODS": "pearson,lead_lag", "GRAPH_SIGNIFICANCE": "0.01",
                "GRAPH_CORRECTION": "bonferroni", "GRAPH_WINDOW": "96", "GRAPH_STRIDE": "4",
                "GRAPH_COVERAGE_MIN": "0.9", "GRAPH_LAG_MAX": "2", "GRAPH_RETURN_HORIZONS": "1,8",
                "GRAPH_VOLATILITY": "12", "GRAPH_RSI": "9", "GRAPH_ACTIVITY": "6",
            ])
        let text = try MessageCodec.encodeText(plan)
        #expect(try MessageCodec.decode(Plan.self, fromText: text) == plan)
    }

    @Test(arguments: [
        (#""after":[]"#, "steps[2].params.candles"),
        (#""after":["load"]"#, "steps[2].params.candles"),
        (#""after":["store"],"params":{"candles":"load"}"#, "steps[2].params.candles"),
        (#""after":["store"],"params":{"trades":"store"}"#, "steps[2].params.trades"),
        (#""after":["store"],"params":{"interval":"5m"}"#, "steps[2].params.interval"),
        (#""params":{"collections":"c"}"#, "steps[2].params.interval"),
        (#""params":{"collections":"c","interval":"1M"}"#, "steps[2].params.interval"),
        (#""params":{"collections":["a","b","c"],"interval":"1h"}"#, "steps[2].params.collections"),
        (#""params":{"collections":"c","candles":"store"}"#, "steps[2].params.collections"),
        (#""params":{"collections":"1c","interval":"1h"}"#, "steps[2].params.collections[0]"),
        (#""after":["store"],"params":{"graph":"1x"}"#, "steps[2].params.graph"),
        (#""after":["store"],"params":{"methods":"kendall"}"#, "steps[2].params.methods"),
        (#""after":["store"],"params":{"top_k":3,"threshold":0.5}"#, "steps[2].params.top_k"),
        (#""after":["store"],"params":{"correction":"none"}"#, "steps[2].params.correction"),
        (#""after":["store"],"params":{"threshold":1.5}"#, "steps[2].params.threshold"),
        (#""after":["store"],"params":{"return_horizons":[1,1]}"#, "steps[2].params.return_horizons"),
        (#""after":["store"],"params":{"trade_type":"api_trades"}"#, "steps[2].params.trade_type"),
        (#""after":["store"],"params":{"collection_name":"x"}"#, "steps[2].params.collection_name"),
        (#""after":["store"],"type":"api_candles_1h""#, "steps[2].type"),
        (#""after":["store"],"fan_out":"symbol""#, "steps[2].fan_out"),
        (#""after":["store"],"input":"load""#, "steps[2].input"),
    ])
    func `a graph step that cannot work is refused by the field`(members: String, field: String) throws {
        let error = try refusal(members)
        #expect(error.field == field, "\(error)")
        #expect(error.hint != nil)
    }

    @Test func `one symbol makes no graph`() throws {
        let error = try #require(throws: RequestError.self) {
            _ = try builtPlan(
                #"{"symbol":"BTCUSDT","time_range":"2024-08-01:2024-08-07","steps":[{"id":"graph","target":"graph-builder","params":{"collections":"c","interval":"1h"}}]}"#
            )
        }
        #expect(error.field == "symbols")
    }
}
