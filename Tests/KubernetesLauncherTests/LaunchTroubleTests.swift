import JobLaunchers
import KubernetesBridge
import Testing
import Workflow

/// What a launch that the API server did not carry out means to its attempt.
struct LaunchTroubleTests {
    private var trouble = LaunchTrouble(limit: .seconds(900))
    private let now = ContinuousClock.now

    private func error(_ code: KubernetesError.Code, _ detail: String = "said") -> KubernetesError {
        KubernetesError(code, operation: "create jobs/j", detail: detail)
    }

    private func key(_ instance: String = "BTCUSDT") throws -> JobKey {
        let job = try job(instance)
        return JobKey(queueID: job.queueID, id: job.id, attempt: 1)
    }

    @Test(arguments: [
        KubernetesError.Code.timeout, .unavailable, .tooManyRequests, .malformed, .cancelled, .unauthorized,
        .tlsFailed,
    ])
    mutating func `an outage uses up no attempt, however long it lasts, and is told in the same words`(
        code: KubernetesError.Code
    ) throws {
        let first = trouble.judge(error(code, "after 4001 ms"), of: try key(), now: now)
        let late = trouble.judge(error(code, "after 4002 ms"), of: try key(), now: now + .seconds(86_400))
        #expect(first.kind == .unavailable && late == first)
    }

    @Test(arguments: [KubernetesError.Code.forbidden, .notFound, .configuration])
    mutating func `what somebody has to mend is waited for, then the attempt has failed`(
        code: KubernetesError.Code
    ) throws {
        #expect(trouble.judge(error(code), of: try key(), now: now).kind == .unavailable)
        let (early, late) = (now + .seconds(899), now + .seconds(900))
        #expect(trouble.judge(error(code), of: try key(), now: early).kind == .unavailable)
        // Each attempt's own time counts.
        #expect(trouble.judge(error(code), of: try key("ETHUSDT"), now: late).kind == .unavailable)
        let ended = trouble.judge(error(code), of: try key(), now: late)
        #expect(ended.kind == .retriable && ended.detail.contains("said"))
        #expect(trouble.judge(error(code), of: try key(), now: late).kind == .unavailable)
    }

    @Test mutating func `a launch that came through begins a new time`() throws {
        _ = trouble.judge(error(.forbidden), of: try key(), now: now)
        trouble.succeeded(try key())
        let late = trouble.judge(error(.forbidden), of: try key(), now: now + .seconds(900))
        #expect(late.kind == .unavailable)
    }

    @Test(arguments: [KubernetesError.Code.invalid, .alreadyExists])
    mutating func `what is wrong stays wrong`(code: KubernetesError.Code) throws {
        #expect(trouble.judge(error(code), of: try key(), now: now).kind == .final)
    }
}
