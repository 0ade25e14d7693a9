import BinanceFeed
import KafkaBridge
import LoaderAPICandles
import LoaderKit
import MarketData
import ReplayExchange
import Synchronization
import Testing
import Workflow

@Suite(.serialized, .timeLimit(.minutes(2)))
struct CandleLoadTests {
    @Test func `a full load equals the source and ends with its marker`() async throws {
        try await LoadBench.run { bench in
            var job = bench.job()
            let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            job.plan.traceparent = trace
            let (outcome, progress) = try await bench.load(job)
            #expect(outcome == .finished)
            #expect(progress.lastSeq == 4_320)
            #expect(progress.holes.isEmpty)
            let records = try await bench.records()
            #expect(records.isGapless)
            #expect(records.digest == (try await bench.sourceDigest(job.range)))
            let first = RecordKey.candle(LoadBench.symbol, .minute1, openTime: LoadBench.start)
            #expect(records.markers == [EndMarker(count: 4_320, firstKey: first, lastKey: progress.lastKey)])
            #expect(records.keys.last == progress.lastKey)
            #expect(records.afterMarker == 0)
            #expect(records.kafkaKeys == ["BENCHUSDT"])
            #expect(records.traceparents == [trace])
            #expect(Set(records.attempts) == [1])
        }
    }

    @Test func `real recorded candles arrive as recorded`() async throws {
        let symbol = try #require(Symbol("1INCHUSDT"))
        let days = try #require(DayRange("2024-08-01:2024-08-07"))
        try await LoadBench.run { options in
            options.symbols = [symbol]
            options.synthetic = []
        } _: { bench in
            let range = KlineRange(
                symbol: symbol, interval: .minute5, from: days.startMilliseconds, to: days.endMilliseconds,
                asOf: 9_999_999_999_999)
            let (outcome, _) = try await bench.load(bench.job(range), pageRows: 1_000)
            #expect(outcome == .finished)
            let records = try await bench.records()
            #expect(records.seqs.count == 7 * 288)
            #expect(records.digest == (try await bench.sourceDigest(range)))
        }
    }

    @Test func `a later attempt goes on where the earlier one stopped`() async throws {
        try await LoadBench.run { bench in
            let part = try await bench.loadPart(500)
            let requestsBefore = bench.exchange.statistics.recordsServed
            let (outcome, progress) = try await bench.load(bench.job(attempt: 2))
            #expect(outcome == .finished)
            #expect(progress.lastSeq == 4_320)
            // What is committed is not asked for again.
            let served = bench.exchange.statistics.recordsServed - requestsBefore
            #expect(Int64(served) == 4_320 - part.lastSeq)
            let records = try await bench.records()
            #expect(records.isGapless)
            #expect(records.digest == (try await bench.sourceDigest(bench.range())))
            #expect(records.markers.map(\.count) == [4_320])
            #expect(records.markers.first?.firstKey == records.keys.first)
            let second = records.attempts.firstIndex(of: 2)
            #expect(second == Int(part.lastSeq))
        }
    }

    @Test func `a stop commits the batch in hand and nothing after it`() async throws {
        try await LoadBench.run { bench in
            let part = try await bench.loadPart(300)
            let records = try await bench.records()
            #expect(Int64(records.seqs.count) == part.lastSeq)
            #expect(records.isGapless)
            #expect(records.markers.isEmpty)
        }
    }

    @Test func `a tail of aborted transactions is stepped over`() async throws {
        try await LoadBench.run { bench in
            let part = try await bench.loadPart(300)
            let producer = try KafkaProducer(
                bench.kafka, KafkaProducerConfiguration(transactionalID: bench.transactionalID))
            try await producer.initTransactions()
            for _ in 0..<60 {
                try await producer.beginTransaction()
                _ = try await producer.send(
                    key: [1], value: [2], to: bench.output.topic, partition: bench.output.partition)
                try await producer.abortTransaction()
            }
            try await producer.close()
            let (outcome, progress) = try await bench.load(bench.job(attempt: 2))
            #expect(outcome == .finished)
            #expect(progress.lastSeq == 4_320)
            let records = try await bench.records()
            #expect(records.isGapless)
            #expect(records.seqs.count == 4_320)
            #expect(part.lastSeq < 4_320)
        }
    }

    @Test func `a partition of nothing but aborted records is loaded from the start`() async throws {
        try await LoadBench.run { bench in
            let producer = try KafkaProducer(
                bench.kafka, KafkaProducerConfiguration(transactionalID: bench.transactionalID))
            try await producer.initTransactions()
            try await producer.beginTransaction()
            _ = try await producer.send(
                key: [1], value: [2], to: bench.output.topic, partition: bench.output.partition)
            try await producer.abortTransaction()
            try await producer.close()
            let (outcome, progress) = try await bench.load()
            #expect(outcome == .finished)
            #expect(progress.lastSeq == 4_320)
            #expect(try await bench.records().isGapless)
        }
    }

    @Test func `an attempt after the end marker reports its counts and writes nothing`() async throws {
        try await LoadBench.run { bench in
            let (_, first) = try await bench.load()
            let end = try await bench.records()
            let served = bench.exchange.statistics.recordsServed
            let (outcome, progress) = try await bench.load(bench.job(attempt: 2))
            #expect(outcome == .finished)
            #expect(progress.counts == first.counts)
            #expect(progress.firstKey == first.firstKey)
            #expect(bench.exchange.statistics.recordsServed == served)
            let records = try await bench.records()
            #expect(records.seqs == end.seqs)
            #expect(records.markers.count == 1)
        }
    }

    @Test func `records of something else are refused for good`() async throws {
        try await LoadBench.run { bench in
            let producer = try KafkaProducer(bench.kafka)
            _ = try await producer.send(
                key: [1], value: Array(#"{"_key":"OTHER-1m-1577836800000"}"#.utf8),
                headers: [(RecordHeader.sequence, Array("1".utf8))], to: bench.output.topic,
                partition: bench.output.partition)
            try await producer.close()
            let (outcome, _) = try await bench.load()
            guard case .failed(let error) = outcome else {
                Issue.record("ended \(outcome)")
                return
            }
            #expect(error.code == .foreignRecords)
            #expect(!error.isRetriable)
            #expect(error.detail.contains("OTHER-1m-1577836800000"))
        }
    }
}
