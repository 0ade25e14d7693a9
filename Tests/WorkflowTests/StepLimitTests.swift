import MarketData
import Testing
import Workflow

struct StepLimitTests {
    private func step(_ members: String) throws -> PlannedStep {
        try builtPlan(steps: #"[{"id":"a","target":"dummy-service",\#(members)}]"#).steps[0]
    }

    @Test func `a retry policy says how often and after which wait`() throws {
        let policy = try step(
            #""retry":{"attempts_max":4,"backoff_initial_seconds":1,"backoff_max_seconds":5,"multiplier":3,"jitter":0.2,"final_reasons":["lost"]}"#
        ).retry
        #expect(policy.attemptsMax == 4 && policy.finalReasons == [.lost])
        #expect(policy.isFinal(.lost) && !policy.isFinal(.retriable))
        #expect(policy.delay(afterFailures: 0, jitter: 0) == .zero)
        #expect(policy.delay(afterFailures: 1, jitter: 0) == .seconds(1))
        #expect(policy.delay(afterFailures: 2, jitter: 0) == .seconds(3))
        #expect(policy.delay(afterFailures: 3, jitter: 0) == .seconds(5))
        #expect(policy.delay(afterFailures: 1_000_000, jitter: 0) == .seconds(5))
        #expect(policy.delay(afterFailures: 3, jitter: 1) == .seconds(4))
        #expect(policy.delay(afterFailures: 3, jitter: 0.5) == .milliseconds(4_500))
    }

    @Test func `without a policy the usual one holds, and attempts_max is a short form`() throws {
        #expect(try step(#""params":{"attempts_max":3}"#).retry == RetryPolicy(attemptsMax: 3))
        let usual = RetryPolicy()
        for failures in 0...20 {
            let expected = failures == 0 ? 0 : min(30_000, 250 << Int64(min(failures - 1, 10)))
            #expect(usual.delay(afterFailures: failures, jitter: 0) == .milliseconds(expected))
            #expect(usual.delay(afterFailures: failures, jitter: 1) == .milliseconds(expected / 2))
        }
    }

    @Test func `a fixed wait does not grow, and a long first wait lifts the longest`() throws {
        let fixed = try step(#""retry":{"backoff_initial_seconds":2,"multiplier":1,"jitter":0}"#).retry
        #expect(fixed.delay(afterFailures: 50, jitter: 1) == .seconds(2))
        let long = try step(#""retry":{"backoff_initial_seconds":600}"#).retry
        #expect(long.backoffMaxSeconds == 600)
    }

    @Test func `time-outs, locks and semaphores belong to a step`() throws {
        let step = try step(
            #""timeout_seconds":100,"start_timeout_seconds":20,"heartbeat_timeout_seconds":10,"locks":"gpu-0","semaphores":["exchange","disk.fast"]"#
        )
        #expect(step.timeoutSeconds == 100)
        #expect(step.startTimeoutSeconds == 20 && step.heartbeatTimeoutSeconds == 10)
        #expect(step.locks.map(\.rawValue) == ["gpu-0"])
        #expect(step.semaphores.map(\.rawValue) == ["exchange", "disk.fast"])
    }

    @Test(arguments: [
        (#""retry":{"attempts_max":0}"#, "steps[0].retry.attempts_max"),
        (#""retry":{"jitter":2}"#, "steps[0].retry.jitter"),
        (#""retry":{"multiplier":0.5}"#, "steps[0].retry.multiplier"),
        (#""retry":{"backoff_max_seconds":0.1}"#, "steps[0].retry.backoff_max_seconds"),
        (#""retry":{"final_reasons":["bad luck"]}"#, "steps[0].retry.final_reasons[0]"),
        (#""retry":{"final_reasons":["lost","lost"]}"#, "steps[0].retry.final_reasons[1]"),
        (#""retry":{"tries":1}"#, "steps[0].retry.tries"),
        (#""retry":{},"params":{"attempts_max":2}"#, "steps[0].params.attempts_max"),
        (#""timeout_seconds":5,"params":{"timeout_seconds":5}"#, "steps[0].params.timeout_seconds"),
        (#""heartbeat_timeout_seconds":0"#, "steps[0].heartbeat_timeout_seconds"),
        (#""start_timeout_seconds":86401"#, "steps[0].start_timeout_seconds"),
        (#""locks":["a b"]"#, "steps[0].locks[0]"),
        (#""locks":["a","a"]"#, "steps[0].locks[1]"),
        (#""locks":["a"],"semaphores":["a"]"#, "steps[0].semaphores"),
    ])
    func `a wrong limit is refused by its place`(members: String, field: String) throws {
        let error = try refusal(steps: #"[{"id":"a","target":"dummy-service",\#(members)}]"#)
        #expect(error.field == field)
    }

    @Test func `a queue may limit its parallel instances and has a priority`() throws {
        let steps = #"[{"id":"a","target":"dummy-service"}]"#
        let plan = try builtPlan(steps: steps, #","max_parallel":1,"priority":-100"#)
        #expect(plan.parallelMax == 1 && plan.priority == -100)
        #expect(try refusal(steps: steps, #","priority":101"#).field == "priority")
        #expect(try refusal(steps: steps, #","max_parallel":0"#).field == "max_parallel")
        let pair = #"""
            [{"id":"load","target":"loader-api-candles","type":"api_candles_5m"},
             {"id":"store","target":"arango-connector","input":"load"}]
            """#
        let error = try refusal(steps: pair, #","max_parallel":1"#)
        #expect(error.field == "max_parallel")
        #expect(error.message == "2 instances must run at the same time: load[BTCUSDT], store[BTCUSDT]")
        #expect(try builtPlan(steps: pair, #","max_parallel":2"#).parallelMax == 2)
    }

    @Test func `warns of what is hardly meant`() throws {
        let plan = try builtPlan(
            steps: #"""
                [{"id":"load","target":"loader-api-candles","type":"api_candles_5m"},
                 {"id":"lone","target":"loader-api-candles","type":"api_candles_5m"},
                 {"id":"a","target":"arango-connector","input":"load"},
                 {"id":"b","target":"arango-connector","input":"load","timeout_seconds":90,
                  "start_timeout_seconds":60,"retry":{"backoff_initial_seconds":90}}]
                """#, #","timeout_seconds":60"#)
        let today = try #require(CivilDate("2024-08-07"))
        let warnings = PlanLint.warnings(plan, today: today)
        #expect(
            warnings.map { "\($0.code.rawValue) \($0.field)" } == [
                "unread_step steps[1]", "wait_beyond_timeout steps[3].retry.backoff_initial_seconds",
                "wait_beyond_timeout steps[3].start_timeout_seconds",
                "wait_beyond_timeout steps[3].retry.backoff_initial_seconds",
                "wait_beyond_timeout steps[3].timeout_seconds", "open_day time_range",
                "shared_collection steps[3]",
            ])
        let usual = try builtPlan(
            #"{"symbol":"BTCUSDT","type":"api_candles_5m","time_range":"2024-08-01:2024-08-06","timeout_seconds":1}"#
        )
        #expect(PlanLint.warnings(usual, today: today).isEmpty)
    }
}
