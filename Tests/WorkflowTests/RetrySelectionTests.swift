import Testing
import Workflow

@Suite struct RetrySelectionTests {
    /// load → store over two symbols; sum after store; clean when something failed.
    private func plan() throws -> Plan {
        try PlanBuilder().build(
            MessageCodec.decode(
                JSONValue.self,
                fromText: #"""
                    {"symbols":["BTCUSDT","ETHUSDT"],"time_range":"2024-08-01:2024-08-01","steps":[
                     {"id":"load","target":"loader-api-candles","type":"api_candles_5m"},
                     {"id":"store","target":"arango-connector","input":"load"},
                     {"id":"sum","target":"dummy-service","fan_out":"none","after":["store"]},
                     {"id":"clean","target":"dummy-service","fan_out":"none",
                      "when":[{"step":"store","field":"status","op":"!=","value":"finished"}]},
                     {"id":"other","target":"dummy-service","fan_out":"none"}]}
                    """#))
    }

    private func machine(
        _ state: InstanceMachine.State, _ reason: String? = nil
    ) -> InstanceMachine {
        InstanceMachine(state: state, attempt: 1, reason: reason, attemptsMax: 3)
    }

    /// All finished but what is named, by `step[instance]`.
    private func chosen(
        _ others: [String: InstanceMachine], from: String? = nil, isFailed: Bool = true
    ) throws -> [String] {
        let plan = try plan()
        var machines: [InstanceID: InstanceMachine] = [:]
        for id in plan.instances { machines[id] = others["\(id)"] ?? machine(.finished) }
        return RetrySelection(plan).instances(
            of: machines, from: from.flatMap { StepID($0) }, isFailed: isFailed
        ).map(\.description).sorted()
    }

    @Test func `a failed reader brings its producer back, and nothing of other symbols`() throws {
        let skipped = machine(.skipped, "step store did not finish")
        #expect(
            try chosen(["store[ETHUSDT]": machine(.failed, "x"), "sum[all]": skipped])
                == ["load[ETHUSDT]", "store[ETHUSDT]", "sum[all]"])
    }

    @Test func `a failed producer leaves a reader alone that has finished`() throws {
        #expect(try chosen(["load[BTCUSDT]": machine(.failed, "x")]) == ["load[BTCUSDT]"])
    }

    @Test func `what was interrupted runs again`() throws {
        #expect(try chosen(["other[all]": machine(.interrupted)], isFailed: false) == ["other[all]"])
    }

    @Test func `conditions are judged again only where something before them runs again`() throws {
        let unmet = machine(.skipped, SkipReason.conditionNotMet)
        #expect(try chosen(["other[all]": machine(.failed, "x"), "clean[all]": unmet]) == ["other[all]"])
        #expect(
            try chosen(["store[BTCUSDT]": machine(.failed, "x"), "clean[all]": unmet])
                == ["clean[all]", "load[BTCUSDT]", "store[BTCUSDT]"])
    }

    @Test func `from a step on everything after it runs again, and what did not finish elsewhere`() throws {
        #expect(
            try chosen(["other[all]": machine(.failed, "x")], from: "store")
                == [
                    "clean[all]", "load[BTCUSDT]", "load[ETHUSDT]", "other[all]", "store[BTCUSDT]",
                    "store[ETHUSDT]", "sum[all]",
                ])
        #expect(try chosen([:], from: "sum", isFailed: false) == ["sum[all]"])
    }

    @Test func `counts that disagreed bring back both sides of the stream edges`() throws {
        #expect(
            try chosen([:]) == ["load[BTCUSDT]", "load[ETHUSDT]", "store[BTCUSDT]", "store[ETHUSDT]"])
        #expect(try chosen([:], isFailed: false) == [])
    }
}
