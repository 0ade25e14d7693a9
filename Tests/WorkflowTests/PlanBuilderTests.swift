import Testing
import Workflow

@Suite struct PlanBuilderTests {
    private func build(_ json: String) throws -> Plan {
        try PlanBuilder().build(try MessageCodec.decode(JSONValue.self, fromText: json))
    }

    private func refusal(_ json: String) throws -> RequestError {
        let value = try MessageCodec.decode(JSONValue.self, fromText: json)
        return try #require(throws: RequestError.self) { try PlanBuilder().build(value) }
    }

    @Test func `the short form means load and store`() throws {
        let plan = try build(
            #"{"symbol":"BTCUSDT","type":"api_candles_5m","time_range":"2024-08-01:2024-08-07"}"#)
        #expect(plan.symbols == ["BTCUSDT"])
        #expect(plan.steps.map(\.target) == [.loaderAPICandles, .arangoConnector])
        #expect(plan.steps[1].input == plan.steps[0].id)
        #expect(plan.steps.map(\.interval) == ["5m", "5m"])
    }

    @Test func `a plan tells ahead what it will ask of the exchange`() throws {
        // Two symbols, 7 days of minutes: 10,080 candles each, 11 pages of 1,000.
        let plan = try build(
            #"{"symbols":["BTCUSDT","ETHUSDT"],"type":"api_candles_1m","time_range":"2024-08-01:2024-08-07"}"#
        )
        let estimate = PlanEstimate(plan, ExchangeCost())
        #expect(estimate.records == 20_160)
        #expect(estimate.exchangeRequests == 22)
        #expect(estimate.exchangeWeight == 44)
        #expect(estimate.exchangeSeconds == 0)
        // 44 of 20 a minute: two whole minutes pass before the last of it.
        #expect(PlanEstimate(plan, ExchangeCost(weightPerMinute: 20)).exchangeSeconds == 120)
        let dummy = try build(#"{"symbol":"BTCUSDT","type":"dummy","time_range":"2024-08-01:2024-08-07"}"#)
        #expect(PlanEstimate(dummy, ExchangeCost()).exchangeRequests == 0)
    }

    @Test func `a dummy step has settings of its own and no interval`() throws {
        let plan = try build(
            #"""
            {"symbol":"BTCUSDT","time_range":"2024-08-01:2024-08-01","timeout_seconds":60,"steps":[
             {"id":"try","target":"dummy-service","params":{"seconds":5,"fail_after":2,"ignore_stop":true,
              "timeout_seconds":9}}]}
            """#)
        #expect(plan.timeoutSeconds == 60)
        let step = try #require(plan.steps.first)
        #expect(step.target == .dummyService && step.type == "dummy" && step.interval.isEmpty)
        #expect(step.timeoutSeconds == 9)
        #expect(
            step.workerSettings == [
                "DUMMY_SECONDS": "5", "DUMMY_FAIL_AFTER_SECONDS": "2", "DUMMY_IGNORE_STOP": "true",
            ])
        let short = try build(#"{"symbol":"BTCUSDT","type":"dummy","time_range":"2024-08-01:2024-08-01"}"#)
        #expect(short.steps.map(\.target) == [.dummyService])
        // A plan stored by an earlier version has no such field.
        let stored = try MessageCodec.encodeText(short).replacing(#","worker_settings":{}"#, with: "")
        #expect(try MessageCodec.decode(Plan.self, fromText: stored).steps.count == 1)
    }

    @Test(arguments: [
        (#"{"seconds":-1}"#, "steps[0].params.seconds"),
        (#"{"ignore_stop":1}"#, "steps[0].params.ignore_stop"),
        (#"{"interval":"5m"}"#, "steps[0].params.interval"),
    ])
    func `a wrong parameter of a dummy step is refused by its name`(params: String, field: String) throws {
        let error = try refusal(
            #"{"symbol":"BTCUSDT","time_range":"2024-08-01:2024-08-01","steps":[{"id":"try","target":"dummy-service","params":\#(params)}]}"#
        )
        #expect(error.field == field)
    }

    @Test func `a loader is told where to read`() throws {
        let plan = try build(
            #"""
            {"symbol":"BTCUSDT","time_range":"2024-08-01:2024-08-01","steps":[
             {"id":"load","target":"loader-api-trades","type":"api_trades","params":{"source":"auto"}},
             {"id":"store","target":"arango-connector","input":"load"}]}
            """#)
        #expect(plan.steps.map(\.workerSettings) == [["EXCHANGE_SOURCE": "auto"], nil])
    }

    @Test(arguments: [
        (#"{"source":"ftp"}"#, #"{}"#, "steps[0].params.source"),
        (#"{"source":1}"#, #"{}"#, "steps[0].params.source"),
        (#"{}"#, #"{"source":"auto"}"#, "steps[1].params.source"),
    ])
    func `a source that is none, or of a step that loads nothing, is refused`(
        load: String, store: String, field: String
    ) throws {
        let error = try refusal(
            #"""
            {"symbol":"BTCUSDT","time_range":"2024-08-01:2024-08-01","steps":[
             {"id":"load","target":"loader-api-trades","type":"api_trades","params":\#(load)},
             {"id":"store","target":"arango-connector","input":"load","params":\#(store)}]}
            """#)
        #expect(error.field == field)
    }

    @Test func `a store step takes type and interval from its input`() throws {
        let plan = try build(
            #"""
            {"symbols":["BTCUSDT","1INCHUSDT"],"time_range":"2024-08-01:2024-08-01","steps":[
             {"id":"store","target":"arango-candles","input":"load","params":{"dead_letters_max":5}},
             {"id":"load","target":"loader-api-candles","type":"api_candles","params":{"interval":"1M"}}]}
            """#)
        #expect(plan.steps[0].target == .arangoConnector)
        #expect(plan.steps[0].interval == "1M")
        #expect(plan.steps[0].deadLettersMax == 5)
        #expect(
            plan.instances.map(\.description) == [
                "store[BTCUSDT]", "store[1INCHUSDT]", "load[BTCUSDT]", "load[1INCHUSDT]",
            ])
    }

    @Test(arguments: [
        (#"{"symbol":"BTCUSDT","type":"api_candles_5m"}"#, "missing_field", "time_range"),
        (#"{"type":"api_candles_5m","time_range":"2024-08-01:2024-08-01"}"#, "missing_field", "symbols"),
        (
            #"{"symbol":"btcusdt","type":"api_candles_5m","time_range":"2024-08-01:2024-08-01"}"#,
            "invalid_value", "symbol"
        ),
        (
            #"{"symbols":["A","A"],"type":"api_candles_5m","time_range":"2024-08-01:2024-08-01"}"#,
            "invalid_value", "symbols[1]"
        ),
        (
            #"{"symbol":"BTCUSDT","type":"api_candles_5x","time_range":"2024-08-01:2024-08-01"}"#,
            "invalid_value", "type"
        ),
        (
            #"{"symbol":"BTCUSDT","type":"api_candles_1M","time_range":"2024-08-01:2024-08-01"}"#,
            "invalid_value", "type"
        ),
        (
            #"{"symbol":"BTCUSDT","type":"api_candles","time_range":"2024-08-01:2024-08-01"}"#,
            "missing_field", "type"
        ),
        (
            #"{"symbol":"BTCUSDT","type":"api_candles_5m","time_range":"2024-08-02:2024-08-01"}"#,
            "invalid_value", "time_range"
        ),
        (
            #"{"symbol":"BTCUSDT","type":"api_candles_5m","time_range":"2024-08-01"}"#, "invalid_value",
            "time_range"
        ),
        (
            #"{"symbol":"BTCUSDT","type":"api_candles_5m","time_range":"2000-01-01:2024-01-01"}"#,
            "invalid_value", "time_range"
        ),
        (
            #"{"symbol":"BTCUSDT","type":"api_candles_1s","time_range":"2020-01-01:2024-01-01"}"#,
            "invalid_value", "time_range"
        ),
        (
            #"{"symbol":"BTCUSDT","type":"api_candles_5m","time_range":"2024-08-01:2024-08-01","x":1}"#,
            "unknown_field", "x"
        ),
        (#"{"symbol":"BTCUSDT","type":5,"time_range":"2024-08-01:2024-08-01"}"#, "invalid_value", "type"),
        (#"[]"#, "invalid_value", ""),
        (#"{"symbol":"B","time_range":"2024-08-01:2024-08-01","steps":[]}"#, "invalid_value", "steps"),
    ])
    func `names the field that is wrong`(json: String, code: String, field: String) throws {
        let error = try refusal(json)
        #expect(error.code.rawValue == code)
        #expect((error.field ?? "") == field)
    }

    @Test(arguments: [
        (
            #"[{"id":"a","target":"loader-api-candles","type":"api_candles_5m"},{"id":"a","target":"arango-connector","input":"a"}]"#,
            "invalid_value", "steps[1].id"
        ),
        (#"[{"id":"a","target":"teleporter","type":"api_candles_5m"}]"#, "invalid_value", "steps[0].target"),
        (
            #"[{"id":"a","target":"arango-connector","type":"api_candles_5m"}]"#, "missing_field",
            "steps[0].input"
        ),
        (
            #"[{"id":"a","target":"loader-api-candles","type":"api_candles_5m"},{"id":"b","target":"arango-connector","input":"c"}]"#,
            "invalid_value", "steps[1].input"
        ),
        (
            #"[{"id":"a","target":"loader-api-candles","type":"api_candles_5m"},{"id":"b","target":"arango-connector","input":"a"},{"id":"c","target":"arango-connector","input":"b"}]"#,
            "invalid_value", "steps[2].input"
        ),
        (
            #"[{"id":"a","target":"loader-api-candles","type":"api_candles_5m","after":["b"]},{"id":"b","target":"loader-api-candles","type":"api_candles_5m","after":["a"]}]"#,
            "cycle", "steps[0]"
        ),
        (
            #"[{"id":"a","target":"loader-api-candles","type":"api_candles_5m","after":["b"]},{"id":"b","target":"arango-connector","input":"a"}]"#,
            "cycle", "steps[0]"
        ),
        (
            #"[{"id":"a","target":"loader-api-candles","type":"api_candles_5m","after":["zz"]}]"#,
            "invalid_value", "steps[0].after[0]"
        ),
        (
            #"[{"id":"a","target":"loader-api-candles","type":"api_candles_5m","params":{"interval":"1h"}}]"#,
            "invalid_value", "steps[0].params.interval"
        ),
        (
            #"[{"id":"a","target":"loader-api-candles","type":"api_candles_5m","params":{"speed":1}}]"#,
            "unknown_field", "steps[0].params.speed"
        ),
        (
            #"[{"id":"a","target":"loader-api-candles","type":"api_candles_5m"},{"id":"b","target":"arango-connector","input":"a","type":"api_candles_1m"}]"#,
            "invalid_value", "steps[1].type"
        ),
        (
            #"[{"id":"a","target":"loader-api-candles","type":"api_candles_5m"},{"id":"b","target":"arango-connector","input":"a","params":{"collection_name":"1x"}}]"#,
            "invalid_value", "steps[1].params.collection_name"
        ),
    ])
    func `refuses steps that cannot run`(steps: String, code: String, field: String) throws {
        let error = try refusal(
            #"{"symbol":"BTCUSDT","time_range":"2024-08-01:2024-08-01","steps":\#(steps)}"#)
        #expect(error.code.rawValue == code)
        #expect(error.field == field)
    }
}
