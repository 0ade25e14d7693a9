import BLASBridge
import GraphModel
import Testing

@Suite struct SelectionTests {
    /// Two waves and their mixtures: what goes together is known.
    private func frame(times: Int = 64) -> CandleFrame {
        var frame = CandleFrame(
            symbols: ["A", "B", "C", "D"], grid: TimeGrid(first: 0, step: 60_000, count: times))
        var prices = [100.0, 100, 100, 100]
        for time in 0..<times {
            let (first, second) = (Double(time * 7 % 11) - 5, Double(time * 5 % 13) - 6)
            for (symbol, move) in [first, first + second / 20, second, -second].enumerated() {
                prices[symbol] *= 1 + move / 1_000
                frame.set(
                    CandleValues(
                        openTime: Int64(time) * 60_000, close: prices[symbol], volume: 1, takerBuyVolume: 0.5,
                        tradeCount: 2), symbol: symbol)
            }
        }
        return frame
    }

    private func edges(_ parameters: GraphParameters) -> [String] {
        let frame = frame()
        let builder = SnapshotBuilder(frame, parameters)
        return builder.snapshot(end: builder.ends[0]).edges.map {
            frame.symbols[$0.from] + frame.symbols[$0.to] + ($0.weight < 0 ? "-" : "+")
        }
    }

    @Test func `a threshold keeps what is strong in either direction`() {
        #expect(edges(GraphParameters(rule: .threshold(0.9))) == ["AB+", "CD-"])
        #expect(edges(GraphParameters(rule: .threshold(1.1))) == [])
    }

    @Test func `the strongest of each symbol are kept, once for a pair that both chose`() {
        #expect(edges(GraphParameters(rule: .topK(1))) == ["AB+", "CD-"])
        #expect(edges(GraphParameters(rule: .topK(3))).count == 6)
    }

    @Test func `corrections differ in what they let pass`() {
        let pValues = [0.001, 0.012, 0.02, 0.04, 0.9]
        func limit(_ correction: GraphParameters.Correction) -> Double? {
            MultipleTests.threshold(pValues, alpha: 0.05, correction: correction)
        }
        #expect(limit(.none) == 0.04)
        #expect(limit(.bonferroni) == 0.001)
        // 0.04 is not below 0.05 * 4 / 5, but equal to it.
        #expect(limit(.benjaminiHochberg) == 0.04)
        #expect(MultipleTests.threshold([0.3, 0.6], alpha: 0.05, correction: .benjaminiHochberg) == nil)
        #expect(MultipleTests.threshold([], alpha: 0.05, correction: .bonferroni) == nil)
    }

    @Test func `lead and lag find who comes first and by how much`() throws {
        var frame = CandleFrame(symbols: ["L", "F"], grid: TimeGrid(first: 0, step: 1, count: 80))
        var prices = [100.0, 100]
        let moves = (0..<80).map { Double($0 * $0 % 23) - 11 }
        for time in 0..<80 {
            prices[0] *= 1 + moves[time] / 1_000
            prices[1] *= 1 + (time >= 2 ? moves[time - 2] : 0.5) / 1_000
            for symbol in 0..<2 { frame[.close, symbol, time] = prices[symbol] }
        }
        let builder = SnapshotBuilder(frame, GraphParameters(methods: [.leadLag], rule: .threshold(0.95)))
        let edge = try #require(builder.snapshot(end: 79).edges.first)
        #expect((edge.from, edge.to, edge.lag) == (0, 1, 2))
        #expect(edge.weight > 0.99)
        // Three lags were tried: the least p-value counts three times.
        #expect(try #require(edge.pValue) < 1e-30)
    }

    @Test func `windows are counted back from the last candle`() {
        #expect(GraphParameters(window: 10, stride: 4).windowEnds(candleCount: 20) == [11, 15, 19])
        #expect(GraphParameters(window: nil, stride: 4).windowEnds(candleCount: 20) == [19])
        #expect(GraphParameters(window: 20, stride: 1).windowEnds(candleCount: 20) == [])
        #expect(GraphParameters().windowEnds(candleCount: 0) == [])
    }

    @Test func `the inverse of a matrix that has none is told`() {
        let singular = Matrix(rows: 2, columns: 2, values: [1, 1, 1, 1])
        #expect(BLAS.inverse(ofPositiveDefinite: singular) == nil)
        let inverse = BLAS.inverse(ofPositiveDefinite: Matrix(rows: 2, columns: 2, values: [2, 1, 1, 2]))
        #expect(inverse?.values.map { ($0 * 3).rounded() } == [2, -1, -1, 2])
    }
}
