import HTTPBridge
import Testing
import Workflow

@testable import BinanceFeed

@Suite struct DecisionTests {
    private static func verdict(_ status: Int, _ body: String = "", _ headers: HTTPHeaders = [:])
        -> AnswerVerdict
    {
        let response = HTTPResponse(status: status, headers: headers, body: Array(body.utf8))
        return AnswerVerdict(response, head: AnswerHead(response))
    }

    private static func body(_ code: Int) -> String { #"{"code":\#(code),"msg":"words"}"# }

    @Test func `429 and 418 wait as long as the exchange says`() {
        let refusal = ExchangeRefusal(code: -1003, message: "words")
        #expect(
            Self.verdict(429, Self.body(-1003), ["retry-after": "7"]) == .wait(.seconds(7), refusal))
        #expect(
            Self.verdict(418, Self.body(-1003), ["Retry-After": "120"]) == .wait(.seconds(120), refusal))
    }

    @Test func `without Retry-After a limit waits a window and a ban the shortest ban`() {
        #expect(Self.verdict(429) == .wait(.seconds(60), nil))
        #expect(Self.verdict(403) == .wait(.seconds(60), nil))
        #expect(Self.verdict(418) == .wait(.seconds(120), nil))
        // The code counts also where a proxy changed the status.
        let refusal = ExchangeRefusal(code: -1003, message: "words")
        #expect(Self.verdict(400, Self.body(-1003)) == .wait(.seconds(60), refusal))
    }

    @Test func `a Retry-After that cannot be meant is cut`() {
        let refusal = ExchangeRefusal(code: -1003, message: "words")
        let most = Duration.seconds(AnswerHead.retryAfterMax)
        let huge = String(Int64.max)
        #expect(Self.verdict(429, Self.body(-1003), ["Retry-After": huge]) == .wait(most, refusal))
        #expect(Self.verdict(429, Self.body(-1003), ["Retry-After": "-7"]) == .wait(.zero, refusal))
    }

    @Test(arguments: [500, 502, 503, 504, 520])
    func `server errors are tried again`(status: Int) {
        #expect(Self.verdict(status, "<html>") == .retry("status \(status)", nil))
    }

    @Test(arguments: [-1000, -1001, -1006, -1007, -1008, -1016])
    func `codes that say nothing about the request are tried again`(code: Int) {
        let refusal = ExchangeRefusal(code: code, message: "words")
        #expect(Self.verdict(400, Self.body(code)) == .retry("status 400", refusal))
    }

    @Test(arguments: [-1100, -1101, -1102, -1104, -1105, -1120, -1121, -1128, -1130])
    func `refusals of the request are final`(code: Int) {
        let refusal = ExchangeRefusal(code: code, message: "words")
        #expect(Self.verdict(400, Self.body(code)) == .refused("status 400", refusal))
    }

    @Test func `a range too long is split and a wrong address is final`() {
        #expect(Self.verdict(400, Self.body(-1127)) == .split(ExchangeRefusal(code: -1127, message: "words")))
        #expect(Self.verdict(404, "<html>") == .refused("status 404", nil))
        #expect(Self.verdict(301) == .refused("status 301", nil))
        #expect(Self.verdict(451) == .refused("status 451", nil))
    }

    @Test(
        arguments: [
            ("X-MBX-USED-WEIGHT-1M", 60), ("x-mbx-used-weight-10s", 10), ("X-MBX-USED-WEIGHT-1D", 86_400),
            ("X-MBX-USED-WEIGHT", nil), ("X-MBX-USED-WEIGHT-M", nil), ("X-MBX-USED-WEIGHT-0M", nil),
            ("X-MBX-ORDER-COUNT-1M", nil),
        ] as [(String, Int64?)])
    func `the window is in the header's name`(name: String, seconds: Int64?) {
        #expect(AnswerHead.windowSeconds(name) == seconds)
    }

    @Test(
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Sat, 21 Nov 2026 03:46:27 GMT", 1_795_232_787),
            ("Sat, 31 Feb 2026 03:46:27 GMT", nil), ("Sat, 21 Nov 2026 25:46:27 GMT", nil),
            ("yesterday", nil),
            ("Sat, 21 Nov 2026 03:46:27 CET", nil),
        ] as [(String, Int64?)])
    func `the Date header is read or ignored`(text: String, seconds: Int64?) {
        #expect(AnswerHead.unixSeconds(text) == seconds)
    }

    @Test func `weight is held back until the window is over`() {
        var meter = WeightMeter(usableMax: 10)
        #expect(meter.spend(2, now: .zero) == nil)
        // The exchange counts what other processes spent too.
        meter.learn(WeightReading(usedWeight: 9, windowSeconds: 60, serverSeconds: 100), now: .seconds(1))
        let rest = Duration.seconds(20) + .milliseconds(50)
        #expect(meter.spend(2, now: .seconds(1)) == rest)
        #expect(meter.spend(1, now: .seconds(1)) == nil)
        #expect(meter.spend(2, now: .seconds(1) + rest) == nil)
    }

    @Test func `a late answer of the window before changes nothing`() {
        var meter = WeightMeter(usableMax: 10)
        meter.learn(WeightReading(usedWeight: 2, windowSeconds: 60, serverSeconds: 125), now: .zero)
        meter.learn(WeightReading(usedWeight: 10, windowSeconds: 60, serverSeconds: 119), now: .zero)
        #expect(meter.spend(2, now: .zero) == nil)
    }

    @Test func `a request dearer than the whole budget still passes alone`() {
        var meter = WeightMeter(usableMax: 1)
        #expect(meter.spend(20, now: .zero) == nil)
    }

    @Test func `back-off doubles up to its bound and jitter cuts at most half`() {
        var policy = FeedRetryPolicy()
        policy.backoffInitial = .seconds(1)
        policy.backoffMax = .seconds(10)
        let full = (1...6).map { policy.backoff(afterAttempt: $0, jitter: 0) }
        #expect(full == [1, 2, 4, 8, 10, 10].map { .seconds($0) })
        #expect(policy.backoff(afterAttempt: 3, jitter: 1) == .seconds(2))
        #expect(policy.backoff(afterAttempt: 1_000, jitter: 0) == .seconds(10))
    }

    @Test func `jitter is the same for the same seed`() {
        let values = { (seed: UInt64) in
            let source = JitterSource(seed: seed)
            return (0..<100).map { _ in source.next() }
        }
        #expect(values(1) == values(1))
        #expect(values(1) != values(2))
        #expect(values(1).allSatisfy { (0..<1).contains($0) })
    }
}
