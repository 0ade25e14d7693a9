import MarketData
import Testing

@Suite struct KlineIntervalTests {
    private let first = Int64(1_722_470_400_000)  // 2024-08-01 00:00, a Thursday

    @Test func `every interval is found by its key text, and month and minute stay apart`() {
        for interval in KlineInterval.allCases {
            #expect(KlineInterval(keyText: interval.keyText) == interval)
        }
        #expect(KlineInterval.month1.keyText == "1mo")
        #expect(KlineInterval(keyText: "1M") == nil)
        #expect(KlineInterval(rawValue: "1mo") == nil)
    }

    @Test func `weeks begin on Monday and months on the first`() {
        #expect(KlineInterval.week1.openTime(containing: first) == first - 3 * 86_400_000)
        #expect(KlineInterval.month1.openTime(containing: first + 20 * 86_400_000) == first)
        #expect(KlineInterval.month1.openTime(after: first) == first + 31 * 86_400_000)
    }

    @Test(arguments: KlineInterval.allCases) func `counts the candles that open in a range`(
        interval: KlineInterval
    ) {
        let to = first + 40 * 86_400_000
        if interval == .second1 {
            #expect(interval.candleCount(from: first, to: to) == 40 * 86_400)
            return
        }
        var count: Int64 = 0
        var open = interval.openTime(containing: first)
        if open < first { open = interval.openTime(after: open) }
        while open < to {
            count += 1
            open = interval.openTime(after: open)
        }
        #expect(interval.candleCount(from: first, to: to) == count)
        #expect(interval.candleCount(from: first, to: first) == 0)
    }
}
