import MarketData
import Testing
import Workflow

/// Reads a start request's body; the range is seven days unless it says otherwise.
func builtPlan(_ json: String) throws -> Plan {
    try PlanBuilder().build(try MessageCodec.decode(JSONValue.self, fromText: json))
}

/// The plan of some steps for two symbols over seven days.
func builtPlan(steps: String, _ more: String = "") throws -> Plan {
    try builtPlan(
        #"{"symbols":["BTCUSDT","ETHUSDT"],"time_range":"2024-08-01:2024-08-07"\#(more),"steps":\#(steps)}"#)
}

func refusal(steps: String, _ more: String = "") throws -> RequestError {
    try #require(throws: RequestError.self) { _ = try builtPlan(steps: steps, more) }
}

struct FanOutTests {
    private static let loader = #""target":"loader-api-candles""#

    private func names(_ fanOut: String) throws -> [String] {
        let plan = try builtPlan(
            steps:
                #"[{"id":"load",\#(Self.loader),"type":"api_candles\#(fanOut.contains("interval") ? "" : "_5m")","fan_out":\#(fanOut)}]"#
        )
        return plan.instances(of: plan.steps[0]).map(\.name)
    }

    @Test(arguments: [
        (#""symbol""#, ["BTCUSDT", "ETHUSDT"]),
        (
            #"{"by":["symbol","interval"],"intervals":["1m","1M"]}"#,
            ["BTCUSDT-1m", "BTCUSDT-1mo", "ETHUSDT-1m", "ETHUSDT-1mo"]
        ),
        (
            #"{"by":["time","symbol"],"shard_days":4}"#,
            ["BTCUSDT-20240801", "BTCUSDT-20240805", "ETHUSDT-20240801", "ETHUSDT-20240805"]
        ),
        (
            #"{"by":["symbol","interval","time"],"intervals":["5m"],"shard_days":7}"#,
            ["BTCUSDT-5m-20240801", "ETHUSDT-5m-20240801"]
        ),
    ])
    func `instances are named after what they are fanned out over`(fanOut: String, expected: [String]) throws
    {
        #expect(try names(fanOut) == expected)
    }

    @Test func `fan-in is one instance for all symbols, also by interval`() throws {
        let plan = try builtPlan(
            steps: #"""
                [{"id":"one","target":"dummy-service","fan_out":"none"},
                 {"id":"two","target":"dummy-service","fan_out":{"by":["interval"],"intervals":["5m","1h"]}}]
                """#)
        #expect(plan.instances.map(\.description) == ["one[all]", "two[all-5m]", "two[all-1h]"])
        let one = try #require(plan.instances(of: plan.steps[0]).first)
        #expect(one.symbols == ["BTCUSDT", "ETHUSDT"] && one.symbol == "all")
        let single = try builtPlan(
            #"{"symbol":"BTCUSDT","time_range":"2024-08-01:2024-08-01","steps":[{"id":"one","target":"dummy-service","fan_out":"none"}]}"#
        )
        #expect(single.instances(of: single.steps[0]).map(\.symbol) == ["BTCUSDT"])
    }

    @Test func `shards cover the range once, the last one is shorter`() throws {
        let range = try #require(DayRange("2024-02-27:2024-03-05"))
        #expect(
            range.shards(ofDays: 3).map(\.description) == [
                "2024-02-27:2024-02-29", "2024-03-01:2024-03-03", "2024-03-04:2024-03-05",
            ])
        #expect(range.shards(ofDays: 8).map(\.description) == ["2024-02-27:2024-03-05"])
        #expect(range.shards(ofDays: 100) == [range])
    }

    @Test func `an instance knows its work, its partition and what it reads`() throws {
        let plan = try builtPlan(
            steps: #"""
                [{"id":"load",\#(Self.loader),"type":"api_candles",
                  "fan_out":{"by":["symbol","interval","time"],"intervals":["5m","1h"],"shard_days":5}},
                 {"id":"store","target":"arango-connector","input":"load"}]
                """#)
        let stores = plan.instances(of: plan.steps[1])
        #expect(stores.map(\.partition) == Array(0..<8))
        #expect(stores.map(\.inputs) == plan.instances(of: plan.steps[0]).map { [$0.name] })
        let sixth = stores[5]
        #expect(sixth.name == "ETHUSDT-5m-20240806" && sixth.type == "api_candles_5m")
        #expect(sixth.interval == "5m" && sixth.timeRange.description == "2024-08-06:2024-08-07")
        // Shards share the collection of the whole range; intervals have one each.
        #expect(sixth.collectionName(of: plan.steps[1], in: plan) == "ethusdt_api_candles_5m_2024_08_01")
        #expect(stores[6].collectionName(of: plan.steps[1], in: plan) == "ethusdt_api_candles_1h_2024_08_01")
        for step in plan.steps {
            #expect(plan.partitionCount(of: step) == 8)
            for instance in plan.instances(of: step) { #expect(plan.instance(instance.id) == instance) }
        }
        let strange = InstanceID(step: plan.steps[0].id, instance: "ETHUSDT")
        #expect(plan.instance(strange) == nil)
    }

    @Test(arguments: [
        (#""each""#, "invalid_value", "steps[0].fan_out"),
        (#"{"by":[]}"#, "missing_field", "steps[0].fan_out.by"),
        (#"{"by":["day"]}"#, "invalid_value", "steps[0].fan_out.by"),
        (#"{"by":["symbol","symbol"]}"#, "invalid_value", "steps[0].fan_out.by"),
        (#"{"by":["symbol","interval"]}"#, "missing_field", "steps[0].fan_out.intervals"),
        (#"{"by":["symbol"],"intervals":["5m"]}"#, "invalid_value", "steps[0].fan_out.intervals"),
        (
            #"{"by":["symbol","interval"],"intervals":["5x"]}"#, "invalid_value",
            "steps[0].fan_out.intervals[0]"
        ),
        (
            #"{"by":["symbol","interval"],"intervals":["1M","1mo"]}"#, "invalid_value",
            "steps[0].fan_out.intervals[1]"
        ),
        (#"{"by":["symbol","time"]}"#, "missing_field", "steps[0].fan_out.shard_days"),
        (#"{"by":["symbol","time"],"shard_days":0}"#, "invalid_value", "steps[0].fan_out.shard_days"),
        (#"{"by":["symbol"],"shard_days":1}"#, "invalid_value", "steps[0].fan_out.shard_days"),
        (#"{"by":["symbol","interval"],"intervals":["5m"]}"#, "invalid_value", "steps[0].type"),
        (#""none""#, "invalid_value", "steps[0].fan_out"),
        (#"{"by":["time"],"shard_days":1}"#, "invalid_value", "steps[0].fan_out"),
    ])
    func `a wrong fan-out is refused by its place`(fanOut: String, code: String, field: String) throws {
        let error = try refusal(
            steps: #"[{"id":"load",\#(Self.loader),"type":"api_candles_5m","fan_out":\#(fanOut)}]"#)
        #expect(error.code.rawValue == code)
        #expect(error.field == field)
    }

    @Test(arguments: [#""symbol""#, #"{"by":["symbol","time"],"shard_days":2}"#])
    func `a step that reads one partition must be fanned out like its input`(fanOut: String) throws {
        let error = try refusal(
            steps: #"""
                [{"id":"load",\#(Self.loader),"type":"api_candles_5m","fan_out":{"by":["symbol","time"],"shard_days":7}},
                 {"id":"store","target":"arango-connector","input":"load","fan_out":\#(fanOut)}]
                """#)
        #expect(error.field == "steps[1].fan_out")
        #expect(error.hint == "Leave fan_out out, or give both steps the same")
    }

    @Test func `a queue has at most 5,000 instances`() throws {
        let error = try #require(throws: RequestError.self) {
            _ = try builtPlan(
                #"{"symbol":"BTCUSDT","time_range":"2014-01-01:2023-12-31","steps":[{"id":"a","target":"dummy-service","fan_out":{"by":["interval","time"],"intervals":["1m","5m"],"shard_days":1}}]}"#
            )
        }
        #expect(error.message == "The queue would have 7304 instances")
        #expect(error.field == "steps")
    }

    @Test func `shards let a queue load more than one instance may`() throws {
        let plan = try builtPlan(
            #"{"symbol":"BTCUSDT","time_range":"2020-01-01:2023-12-31","steps":[{"id":"load","target":"loader-api-candles","type":"api_candles_1s","fan_out":{"by":["symbol","time"],"shard_days":100}}]}"#
        )
        #expect(plan.instances.count == 15)
        #expect(PlanEstimate(plan, ExchangeCost()).records == 126_230_400)
    }

    @Test func `plans that an earlier version stored are still read`() throws {
        let stored = #"""
            {"symbols":["BTCUSDT"],"time_range":"2024-08-01:2024-08-02","steps":[
             {"id":"load","target":"loader-api-candles","type":"api_candles_5m","interval":"5m","after":[],
              "attempts_max":4,"dead_letters_max":1000}]}
            """#
        let plan = try MessageCodec.decode(Plan.self, fromText: stored)
        #expect(plan.instances.map(\.description) == ["load[BTCUSDT]"])
        #expect(plan.priority == 0 && plan.parallelMax == nil)
        #expect(plan.steps[0].retry == RetryPolicy(attemptsMax: 4))
        let again = try MessageCodec.decode(Plan.self, fromText: try MessageCodec.encodeText(plan))
        #expect(again == plan)
    }
}
