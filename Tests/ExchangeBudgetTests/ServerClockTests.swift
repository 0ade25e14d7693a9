import Testing

@testable import ExchangeBudget

@Suite struct ServerClockTests {
    @Test func `one answer tells the exchange's time to a second and its way`() {
        let clock = ServerClock(serverSeconds: 100, sentAt: 7_000, answeredAt: 7_040)
        #expect(clock.earliest(at: 7_040) == 100_000)
        #expect(clock.latest(at: 7_000) == 101_000 + ServerClock.dateLag)
    }

    @Test func `answers around the turn of a second narrow it to their way`() {
        // The exchange is 93,005 ms ahead.
        var clock = ServerClock(serverSeconds: 99, sentAt: 6_960, answeredAt: 6_990)
        clock.learn(ServerClock(serverSeconds: 100, sentAt: 6_996, answeredAt: 7_010))
        #expect(clock.width(at: 7_010) <= 50 + ServerClock.dateLag)
        #expect(clock.earliest(at: 7_010) <= 100_015)
        #expect(clock.latest(at: 7_010) >= 100_015)
    }

    @Test func `a clock that jumped is learned anew`() {
        var clock = ServerClock(serverSeconds: 100, sentAt: 7_000, answeredAt: 7_010)
        let after = ServerClock(serverSeconds: 100, sentAt: 500_000, answeredAt: 500_010)
        clock.learn(after)
        #expect(clock == after)
    }

    @Test func `what is known fades with time`() {
        let clock = ServerClock(low: 10, high: 20, at: 0)
        #expect(clock.width(at: 0) == 10)
        #expect(clock.width(at: 3_600_000) == 10 + 2 * 360)
    }

    @Test func `another clock sees the same with what its reading leaves open`() {
        // Ours reads 1,000 to 1,030 when the other reads 50,000.
        let clock = ServerClock(low: 90_000, high: 90_010, at: 1_030).seen(
            by: 50_000, between: 1_000, and: 1_030)
        #expect(clock == ServerClock(low: 41_000, high: 41_040, at: 50_000))
    }
}
