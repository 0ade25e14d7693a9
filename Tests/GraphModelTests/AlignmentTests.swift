import GraphModel
import Testing

@Suite struct AlignmentTests {
    private static let times = 100

    private func frame(_ prices: [String: (Int) -> Double?]) -> CandleFrame {
        let symbols = prices.keys.sorted()
        var frame = CandleFrame(
            symbols: symbols, grid: TimeGrid(first: 0, step: 60_000, count: Self.times))
        for (place, symbol) in symbols.enumerated() {
            for time in 0..<Self.times {
                frame[.close, place, time] = prices[symbol].flatMap { $0(time) } ?? .nan
            }
        }
        return frame
    }

    private static func price(_ time: Int) -> Double { 100 + Double(time * time % 17) }
    private static func other(_ time: Int) -> Double { 50 + Double(time * 3 % 19) }

    @Test func `symbols that lack too much are left out, each with its reason`() throws {
        let frame = frame([
            "A": Self.price, "B": Self.other, "C": { $0 < 50 ? nil : Self.price($0) },
            "D": { $0 > 60 ? nil : Self.price($0) }, "E": { $0 % 3 == 0 ? nil : Self.price($0) },
            "F": { _ in nil }, "G": { _ in 5 },
        ])
        let snapshot = SnapshotBuilder(frame, GraphParameters()).snapshot(end: Self.times - 1)
        #expect(snapshot.nodes.map(\.symbol) == ["A", "B"])
        let excluded = snapshot.report.alignment.excluded
        #expect(
            excluded.mapValues(\.reason) == [
                2: .lateListed, 3: .endedEarly, 4: .gaps, 5: .noData, 6: .constant,
            ])
        #expect(excluded[2]?.coverage == 49.0 / 99)
        #expect(excluded[6]?.coverage == 1)
        #expect(snapshot.report.alignment.commonReturns == 99)
    }

    @Test func `a hole costs two returns, and all symbols lose those times`() {
        let frame = frame(["A": Self.price, "B": { $0 == 40 ? nil : Self.other($0) }])
        let snapshot = SnapshotBuilder(frame, GraphParameters()).snapshot(end: Self.times - 1)
        #expect(snapshot.report.alignment.gaps == [1: 2])
        #expect(snapshot.report.alignment.commonReturns == 97)
    }

    @Test func `without two symbols or with too few returns the report says so`() {
        let one = SnapshotBuilder(frame(["A": Self.price]), GraphParameters()).snapshot(end: 99)
        #expect(one.edges.isEmpty && one.nodes.count == 1)
        #expect(one.report.methods[0].problem == "fewer than two symbols have enough returns")
        let short = SnapshotBuilder(
            frame(["A": Self.price, "B": Self.other]), GraphParameters(window: 5)
        ).snapshot(end: 99)
        #expect(short.report.methods[0].problem?.hasPrefix("only 5 times") == true)
    }

    @Test func `a feature whose input is absent is left out with the reason`() {
        let snapshot = SnapshotBuilder(
            frame(["A": Self.price, "B": Self.other]),
            GraphParameters(features: FeatureParameters(returnHorizons: [1, 200]))
        ).snapshot(end: 99)
        #expect(snapshot.report.features == ["return_1", "volatility_24", "rsi_14"])
        #expect(
            snapshot.report.featuresLeftOut == [
                "return_200": "no symbol has enough candles before it",
                "volume_ratio_24": "the candles have no volumes",
                "taker_imbalance_24": "the candles have no taker volumes",
                "trades_per_minute_24": "the candles have no counts of trades",
            ])
    }

    @Test func `a candle with volume and no trades comes from a source without those columns`() {
        var frame = CandleFrame(symbols: ["A"], grid: TimeGrid(first: 0, step: 60_000, count: 3))
        func candle(_ time: Int64, volume: Double) -> CandleValues {
            CandleValues(openTime: time, close: 1, volume: volume, takerBuyVolume: 0, tradeCount: 0)
        }
        let taken = [candle(0, volume: 2), candle(60_000, volume: 0), candle(60_001, volume: 0)].map {
            frame.set($0, symbol: 0)
        }
        #expect(taken == [true, true, false])
        #expect(frame[.tradeCount, 0, 0].isNaN && frame[.takerBuyVolume, 0, 0].isNaN)
        #expect(frame[.tradeCount, 0, 1] == 0 && frame[.takerBuyVolume, 0, 1] == 0)
    }

    @Test func `trades fill in what candles lack`() {
        var frame = CandleFrame(symbols: ["A"], grid: TimeGrid(first: 0, step: 60_000, count: 4))
        frame.add(tradeAt: 61_000, quantity: 2, fills: 3, isTakerBuy: true, symbol: 0)
        frame.add(tradeAt: 119_999, quantity: 5, fills: 1, isTakerBuy: false, symbol: 0)
        frame.add(tradeAt: 999_999, quantity: 5, fills: 1, isTakerBuy: false, symbol: 0)
        frame.fillTimesWithoutTrades(symbol: 0, from: 1, to: 2)
        #expect(frame[.tradeCount, 0, 1] == 4 && frame[.takerBuyVolume, 0, 1] == 2)
        #expect(frame[.tradeCount, 0, 2] == 0 && frame[.takerBuyVolume, 0, 2] == 0)
        #expect(frame[.tradeCount, 0, 0].isNaN && frame[.tradeCount, 0, 3].isNaN)
    }
}
