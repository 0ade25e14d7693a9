import GraphModel
import Testing

/// What a graph says of a moment is made of what was known then.
@Suite struct NoLeakTests {
    private static let times = 160
    private static let end = 100

    /// Five symbols with noise; of one, trades are known only from the middle on.
    private func frame() -> CandleFrame {
        var frame = CandleFrame(
            symbols: ["A", "B", "C", "D", "E"], grid: TimeGrid(first: 0, step: 60_000, count: Self.times))
        var random = Noise(state: 3)
        var prices = [Double](repeating: 100, count: 5)
        for time in 0..<Self.times {
            let common = random.next()
            for symbol in 0..<5 {
                prices[symbol] *= 1 + (common + Double(symbol) * random.next()) / 100
                frame.set(
                    CandleValues(
                        openTime: Int64(time) * 60_000, close: prices[symbol], volume: 5 + random.next(),
                        takerBuyVolume: 2 + random.next(), tradeCount: symbol == 4 && time < 80 ? 0 : 7),
                    symbol: symbol)
            }
        }
        return frame
    }

    private struct Noise {
        var state: UInt64

        /// From −1 to 1.
        mutating func next() -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(state >> 11) / Double(1 << 52) - 1
        }
    }

    private static let parameters = [
        GraphParameters(methods: GraphParameters.Method.allCases, rule: .topK(2), window: 48, stride: 4),
        GraphParameters(
            methods: GraphParameters.Method.allCases, rule: .significance(alpha: 0.2, .benjaminiHochberg),
            window: 60),
    ]

    @Test(arguments: parameters, ["noise", "nothing", "no trades"])
    func `whatever comes after a snapshot's moment changes nothing of it`(
        parameters: GraphParameters, future: String
    ) {
        let frame = frame()
        var changed = frame
        var random = Noise(state: 9)
        for time in Self.end + 1..<Self.times {
            for symbol in 0..<5 {
                for column in CandleColumn.allCases {
                    switch (future, column) {
                    case ("noise", _): changed[column, symbol, time] = 50 + 40 * random.next()
                    case ("nothing", _), ("no trades", .takerBuyVolume), ("no trades", .tradeCount):
                        changed[column, symbol, time] = .nan
                    default: break
                    }
                }
            }
        }
        let before = SnapshotBuilder(frame, parameters)
        let after = SnapshotBuilder(changed, parameters)
        let length = parameters.window ?? 0
        for end in length...Self.end {
            #expect(before.snapshot(end: end) == after.snapshot(end: end), "ending at \(end)")
        }
        #expect(before.snapshot(end: Self.end + 1) != after.snapshot(end: Self.end + 1), "it was a change")
        #expect(!before.snapshot(end: Self.end).edges.isEmpty)
    }
}
