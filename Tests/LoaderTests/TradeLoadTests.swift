import BinanceFeed
import KafkaBridge
import LoaderAPITrades
import LoaderKit
import MarketData
import ReplayExchange
import Testing
import Workflow

/// Recorded trades into a partition. BTCUSDT: 2024-08-08 23:54:15 to 2024-08-09 00:05:05, every id present.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct TradeLoadTests {
    static let symbol = Symbol("BTCUSDT") ?? { preconditionFailure("a right symbol") }()
    /// 2024-08-09 00:00 UTC.
    static let midnight: Int64 = 1_723_161_600_000
    static let firstID: Int64 = 3_735_683_259

    static func range(
        _ kind: TradeKind = .raw, from: Int64 = midnight - 86_400_000, to: Int64 = midnight + 86_400_000
    ) -> TradeRange {
        TradeRange(symbol: symbol, kind: kind, from: from, to: to, asOf: 9_999_999_999_999)
    }

    private static func run(
        _ configure: (inout ReplayOptions) -> Void = { _ in },
        _ body: @Sendable (LoadBench) async throws -> Void
    ) async throws {
        try await LoadBench.run(
            { options in
                options.symbols = [symbol]
                options.synthetic = []
                configure(&options)
            }, body)
    }

    @Test func `all recorded trades arrive once, as recorded, and the marker names them`() async throws {
        try await Self.run { bench in
            let (outcome, progress) = try await bench.load(Self.range(), pageRows: 1_000)
            #expect(outcome == .finished)
            #expect(progress.lastSeq == 19_904 && progress.holes.isEmpty)
            let records = try await bench.records(.trade)
            #expect(records.isGapless)
            #expect(records.kafkaKeys == ["BTCUSDT"])
            #expect(
                records.digest
                    == (try await bench.sourceDigest(Self.range(), from: Self.firstID, count: 19_904)))
            #expect(
                records.markers == [
                    EndMarker(
                        count: 19_904, firstKey: RecordKey.trade(Self.symbol, .raw, id: Self.firstID),
                        lastKey: RecordKey.trade(Self.symbol, .raw, id: 3_735_703_162))
                ])
        }
    }

    @Test(arguments: TradeKind.allCases, [7, 100])
    func `a later attempt goes on where the earlier one stopped, at every page size`(
        kind: TradeKind, pageRows: Int
    ) async throws {
        try await Self.run { bench in
            let range = Self.range(kind, from: Self.midnight - 10_000, to: Self.midnight + 20_000)
            let stop = Stop()
            var limits = LoadLimits()
            limits.pagesPerTransactionMax = 1
            let ports = bench.ports {
                $0.stopRequested = { await stop.wait() }
                $0.report = { if $0.lastSeq >= 250 { stop.request() } }
            }
            let (first, part) = try await bench.load(range, pageRows: pageRows, ports: ports, limits: limits)
            try #require(first == .interrupted && part.lastSeq >= 250)
            let served = bench.exchange.statistics.recordsServed
            let (outcome, progress) = try await bench.load(range, attempt: 2, pageRows: pageRows)
            #expect(outcome == .finished)
            // What is committed is not asked for again. Pages are read until one goes beyond the range, which is one
            // more where the rest is whole pages; and the page that the first attempt was reading when it was stopped
            // may be counted late.
            let again = Int64(bench.exchange.statistics.recordsServed - served)
            let rest = progress.lastSeq - part.lastSeq
            #expect(again <= (rest / Int64(pageRows) + 2) * Int64(pageRows))
            let records = try await bench.records(.trade)
            #expect(records.isGapless && records.markers.map(\.count) == [progress.lastSeq])
            let firstID = try #require(
                records.keys.first.flatMap { RecordKey.tradeID(ofTrade: $0, Self.symbol, kind) })
            #expect(
                records.digest
                    == (try await bench.sourceDigest(range, from: firstID, count: progress.lastSeq)))
            let (third, last) = try await bench.load(range, attempt: 3, pageRows: pageRows)
            #expect(third == .finished && last.counts == progress.counts)
            #expect(try await bench.records(.trade).markers.count == 1)
        }
    }

    @Test func `server errors, cut answers and refusals change nothing in what is stored`() async throws {
        try await Self.run {
            $0.faults.serverErrorShare = 0.15
            $0.faults.cutBodyShare = 0.15
            $0.faults.stormEverySeconds = 1.5
            $0.faults.stormSeconds = 0.3
            $0.seed = 7
        } _: { bench in
            let (outcome, progress) = try await bench.load(Self.range(), pageRows: 500)
            #expect(outcome == .finished && progress.lastSeq == 19_904)
            #expect(bench.exchange.statistics.requestsBeforeRetryAfter == 0)
            bench.exchange.setFaults(FaultSettings())
            let records = try await bench.records(.trade)
            #expect(records.isGapless)
            #expect(
                records.digest
                    == (try await bench.sourceDigest(Self.range(), from: Self.firstID, count: 19_904)))
        }
    }

    @Test func `a range without trades gives a marker of count 0 and no keys`() async throws {
        try await Self.run { bench in
            let range = Self.range(from: 1_577_836_800_000, to: 1_577_836_800_001)
            let (outcome, progress) = try await bench.load(range)
            #expect(outcome == .finished && progress.counts == InstanceCounts())
            let records = try await bench.records(.trade)
            #expect(records.markers == [EndMarker(count: 0, firstKey: nil, lastKey: nil)])
        }
    }

    @Test(arguments: [
        (#"{"_key":"BTCUSDT-a-00000000000000000001","time":1723161600000}"#, "is no raw trade of BTCUSDT"),
        (#"{"_key":"BTCUSDT-t-00000000000000000001"}"#, "has no time"),
        (#"{"_key":"BTCUSDT-t-00000000000000000001","time":1577836800000}"#, "lies outside the range"),
    ])
    func `records of something else are refused for good`(value: String, reason: String) async throws {
        try await Self.run { bench in
            let producer = try KafkaProducer(bench.kafka)
            _ = try await producer.send(
                key: [1], value: Array(value.utf8), headers: [(RecordHeader.sequence, Array("1".utf8))],
                to: bench.output.topic, partition: bench.output.partition)
            try await producer.close()
            let (outcome, _) = try await bench.load(Self.range())
            guard case .failed(let error) = outcome else {
                Issue.record("ended \(outcome)")
                return
            }
            #expect(error.code == .foreignRecords && !error.isRetriable)
            #expect(error.detail.contains(reason))
        }
    }
}

extension LoadBench {
    fileprivate func load(
        _ range: TradeRange, attempt: Int = 1, pageRows: Int = 100, ports: LoadPorts? = nil,
        limits: LoadLimits = LoadLimits()
    ) async throws -> (LoadOutcome, LoadProgress) {
        let source = TradeSource(range, feed: feed(pageRows: pageRows))
        let plan = plan(attempt: attempt)
        return try await RecordLoad(plan, source: source, ports: ports ?? self.ports(), limits: limits).run()
    }

    func sourceDigest(_ range: TradeRange, from first: Int64, count: Int64) async throws -> RangeDigest {
        try await Records.sourceDigest(baseURL: exchange.baseURL, range, from: first, count: count)
    }
}
