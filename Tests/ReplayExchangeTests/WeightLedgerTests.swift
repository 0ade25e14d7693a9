import Testing

@testable import ReplayExchange

@Suite struct WeightLedgerTests {
    private static var limits: WeightLimits {
        var limits = WeightLimits()
        limits.weightMax = 10
        limits.violationsMax = 2
        return limits
    }
    /// Ten seconds into a minute.
    private let now: Int64 = 1_723_161_610_000

    @Test func `weight is counted per client and window`() {
        var ledger = WeightLedger(limits: Self.limits)
        #expect(ledger.admit("a", weight: 4, now: now) == .admitted)
        #expect(ledger.admit("b", weight: 2, now: now) == .admitted)
        #expect(ledger.usedWeight(of: "a", now: now) == 4)
        #expect(ledger.usedWeight(of: "b", now: now) == 2)
        #expect(ledger.usedWeight(of: "a", now: now + 50_000) == 0)
    }

    @Test func `the request that would go over is told when the window ends`() {
        var ledger = WeightLedger(limits: Self.limits)
        #expect(ledger.admit("a", weight: 10, now: now) == .admitted)
        let verdict = ledger.admit("a", weight: 1, now: now + 1)
        #expect(verdict == .limited(retryAfterSeconds: 50, byRequestCount: false))
        #expect(ledger.admit("a", weight: 1, now: now + 50_000) == .admitted)
    }

    @Test func `going on while limited leads to a ban, each twice as long as the one before`() {
        var ledger = WeightLedger(limits: Self.limits)
        var time = now
        for banSeconds in [Int64(120), 240, 480] {
            _ = ledger.admit("a", weight: 10, now: time)
            for _ in 0...2 { _ = ledger.admit("a", weight: 1, now: time) }
            let verdict = ledger.admit("a", weight: 1, now: time)
            let until = time + banSeconds * 1_000
            #expect(verdict == .banned(retryAfterSeconds: banSeconds, until: until))
            #expect(ledger.admit("b", weight: 1, now: time) == .admitted)
            #expect(
                ledger.admit("a", weight: 1, now: until - 1)
                    == .banned(retryAfterSeconds: 1, until: until))
            time = until + 60_000
        }
    }

    @Test func `too many requests of any weight are limited until their own window ends`() {
        var limits = Self.limits
        limits.rawRequestsMax = 2
        var ledger = WeightLedger(limits: limits)
        #expect(ledger.admit("a", weight: 1, now: now) == .admitted)
        #expect(ledger.admit("a", weight: 1, now: now) == .admitted)
        let rest = 300 - (now / 1_000) % 300
        #expect(
            ledger.admit("a", weight: 1, now: now) == .limited(retryAfterSeconds: rest, byRequestCount: true))
    }
}
