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
struct LoadTroubleTests {
    @Test func `server errors and cut answers change nothing in what is stored`() async throws {
        try await LoadBench.run { options in
            options.faults.serverErrorShare = 0.2
            options.faults.cutBodyShare = 0.2
            options.seed = 7
        } _: { bench in
            let (outcome, _) = try await bench.load()
            #expect(outcome == .finished)
            let answers = bench.exchange.statistics.answers
            #expect(answers["cut", default: 0] > 0)
            #expect(answers.contains { $0.key.hasPrefix("5") })
            bench.exchange.setFaults(FaultSettings())
            let records = try await bench.records()
            #expect(records.isGapless)
            #expect(records.digest == (try await bench.sourceDigest(bench.range())))
        }
    }

    @Test func `no request is made before Retry-After is over`() async throws {
        try await LoadBench.run { options in
            options.faults.stormEverySeconds = 1.5
            options.faults.stormSeconds = 0.5
            options.faults.latencyMilliseconds = 50
        } _: { bench in
            let (outcome, _) = try await bench.load()
            #expect(outcome == .finished)
            #expect(bench.exchange.statistics.answers["429", default: 0] > 0)
            #expect(bench.exchange.statistics.requestsBeforeRetryAfter == 0)
            #expect(try await bench.records().isGapless)
        }
    }

    @Test func `a symbol the exchange does not know fails for good with its words`() async throws {
        try await LoadBench.run { bench in
            var range = bench.range()
            range.symbol = try #require(Symbol("NOSUCHUSDT"))
            let (outcome, progress) = try await bench.load(bench.job(range))
            guard case .failed(let error) = outcome else {
                Issue.record("ended \(outcome)")
                return
            }
            #expect(!error.isRetriable)
            #expect(error.detail.contains("-1121"))
            #expect(error.detail.contains("Invalid symbol."))
            #expect(progress.lastSeq == 0)
            #expect(try await bench.records().markers.isEmpty)
        }
    }

    @Test func `a newer producer ends an older load as superseded`() async throws {
        try await LoadBench.run { options in
            options.faults.latencyMilliseconds = 20
        } _: { bench in
            let first = Stop()
            let older = bench.ports { $0.report = { _ in first.request() } }
            async let olderEnd = bench.load(ports: older)
            await first.wait()
            let (outcome, progress) = try await bench.load(bench.job(attempt: 2))
            #expect(outcome == .finished)
            #expect(progress.lastSeq == 4_320)
            #expect(try await olderEnd.0 == .superseded)
            let records = try await bench.records()
            #expect(records.isGapless)
            #expect(records.seqs.count == 4_320)
            #expect(Set(records.attempts) == [1, 2])
            #expect(records.attempts == records.attempts.sorted())
        }
    }

    @Test func `nothing is committed while the lease does not allow it`() async throws {
        try await LoadBench.run { bench in
            let asked = Mutex(0)
            // Every third look finds the lease too old: the transaction is given up and done again.
            let ports = bench.ports {
                $0.mayWrite = {
                    asked.withLock {
                        $0 += 1
                        return $0 % 3 != 0
                    }
                }
            }
            var limits = LoadLimits()
            limits.pagesPerTransactionMax = 3
            let (outcome, _) = try await bench.load(ports: ports, limits: limits)
            #expect(outcome == .finished)
            #expect(asked.withLock { $0 } > 3)
            let records = try await bench.records()
            #expect(records.isGapless)
            #expect(records.seqs.count == 4_320)
            #expect(records.markers.count == 1)
        }
    }

    @Test func `a stop while the exchange keeps us waiting ends the load at once`() async throws {
        try await LoadBench.run { options in
            options.faults.latencyMilliseconds = 6_000
        } _: { bench in
            let stop = Stop()
            let ports = bench.ports { $0.stopRequested = { await stop.wait() } }
            async let end = bench.load(ports: ports)
            // The tail is read and the first request is under way once the exchange has counted it.
            while bench.exchange.statistics.clients.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            let asked = ContinuousClock.now
            stop.request()
            #expect(try await end.0 == .interrupted)
            #expect(ContinuousClock.now - asked < .seconds(3))
        }
    }
}
