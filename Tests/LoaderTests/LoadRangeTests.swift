import BinanceFeed
import KafkaBridge
import LoaderAPICandles
import LoaderKit
import MarketData
import ReplayExchange
import Testing
import Workflow

@Suite(.serialized, .timeLimit(.minutes(2)))
struct LoadRangeTests {
    @Test func `a range without candles gives a marker of count 0 and no keys`() async throws {
        try await LoadBench.run { bench in
            let before = bench.range(from: -2_880, candles: 1_440)
            let (outcome, progress) = try await bench.load(bench.job(before))
            #expect(outcome == .finished)
            #expect(progress.counts == InstanceCounts())
            #expect(progress.holes == [RecordHole(from: before.from, to: before.to, recordCount: 1_440)])
            let records = try await bench.records()
            #expect(records.seqs.isEmpty)
            #expect(records.markers == [EndMarker(count: 0, firstKey: nil, lastKey: nil)])
            let (again, _) = try await bench.load(bench.job(before, attempt: 2))
            #expect(again == .finished)
            #expect(try await bench.records().markers.count == 1)
        }
    }

    @Test func `a range that lies after as_of asks the exchange nothing`() async throws {
        try await LoadBench.run { bench in
            let range = bench.range(asOf: LoadBench.start)
            let (outcome, _) = try await bench.load(bench.job(range))
            #expect(outcome == .finished)
            #expect(bench.exchange.statistics.answers.isEmpty)
            #expect(try await bench.records().markers.map(\.count) == [0])
        }
    }

    @Test func `the candle that was open at as_of is left out, whenever it is loaded`() async throws {
        try await LoadBench.run { bench in
            let range = bench.range(asOf: LoadBench.start + 250 * LoadBench.minute + 30_000)
            let (outcome, progress) = try await bench.load(bench.job(range))
            #expect(outcome == .finished)
            #expect(progress.lastSeq == 250)
            let last = RecordKey.candle(
                LoadBench.symbol, .minute1, openTime: LoadBench.start + 249 * LoadBench.minute)
            #expect(progress.lastKey == last)
            #expect(progress.holes.isEmpty)
        }
    }

    @Test func `a hole is reported and not filled`() async throws {
        let from = LoadBench.start + 1_000 * LoadBench.minute
        let to = from + 350 * LoadBench.minute
        try await LoadBench.run { options in
            options.faults.holes = [FaultSettings.Hole(symbol: LoadBench.symbol, from: from, to: to)]
        } _: { bench in
            let (outcome, progress) = try await bench.load()
            #expect(outcome == .finished)
            #expect(progress.lastSeq == 4_320 - 350)
            #expect(progress.holes == [RecordHole(from: from, to: to, recordCount: 350)])
            let records = try await bench.records()
            #expect(records.isGapless)
            #expect(records.markers.map(\.count) == [4_320 - 350])
        }
    }

    @Test(arguments: [KlineInterval.minute3, .hour12, .day3, .week1, .month1])
    func `other intervals load too`(interval: KlineInterval) async throws {
        try await LoadBench.run { bench in
            var range = bench.range()
            range.interval = interval
            let (outcome, _) = try await bench.load(bench.job(range))
            #expect(outcome == .finished)
            let records = try await bench.records()
            #expect(records.isGapless)
            let open = records.keys.compactMap {
                RecordKey.openTime(ofCandle: $0, LoadBench.symbol, interval)
            }
            #expect(open.count == records.keys.count)
            #expect(Int64(open.count) <= interval.candleCount(from: range.from, to: range.to))
            let source = try await bench.sourceDigest(range)
            #expect(records.digest?.count == records.markers.first?.count)
            // The source also has the candle that is still open at the end of the series.
            #expect(source.count - Int64(open.count) <= 1)
        }
    }
}
