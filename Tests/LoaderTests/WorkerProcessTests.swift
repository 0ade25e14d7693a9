import KafkaBridge
import LoaderAPICandles
import LoaderKit
import MarketData
import ServiceRuntime
import Testing
import Workflow

#if canImport(Glibc)
    import Glibc
#endif

@Suite(.serialized, .timeLimit(.minutes(3)))
struct WorkerProcessTests {
    private static let points: [CrashPoint] = [
        .beforeProduce, .afterProduce, .beforeTransactionCommit, .afterTransactionCommit, .beforeFinalEvent,
    ]

    @Test(arguments: points) func `killed at a point, the next attempt loses and doubles nothing`(
        point: CrashPoint
    ) async throws {
        try await WorkerStage.run { stage in
            let first = try await stage.start(attempt: 1)
            try await stage.hold(first, at: point, count: point == .beforeFinalEvent ? 1 : 3)
            first.signal(SIGKILL)
            #expect(await first.waitForExit(timeout: .seconds(10)) == .signal(SIGKILL))
            let second = try await stage.start(attempt: 2)
            #expect(await second.waitForExit(timeout: .seconds(60)) == .code(0))
            let records = try await stage.bench.records()
            #expect(records.isGapless)
            #expect(records.markers.map(\.count) == [4_320])
            #expect(records.afterMarker == 0)
            #expect(records.digest == (try await stage.bench.sourceDigest(stage.bench.range())))
            let events = try await stage.finalEvents()
            #expect(events.map(\.status) == [.finished])
            #expect(events.first?.attempt == 2)
            #expect(events.first?.recordsWritten == 4_320)
            #expect(events.first?.lastKey == records.keys.last)
            #expect(events.first?.extra?["candles_missing"] == .integer(0))
        }
    }

    @Test func `SIGTERM commits what is in hand and reports interrupted`() async throws {
        try await WorkerStage.run(latencyMilliseconds: 30) { stage in
            let process = try await stage.start(attempt: 1)
            // Held there, so that it is known to be in the middle.
            try await stage.hold(process, at: .beforeTransactionCommit, count: 2)
            process.signal(SIGTERM)
            process.signal(SIGCONT)
            #expect(await process.waitForExit(timeout: .seconds(30)) == .code(3))
            let records = try await stage.bench.records()
            #expect(records.isGapless)
            #expect(records.markers.isEmpty)
            let events = try await stage.finalEvents()
            #expect(events.map(\.status) == [.interrupted])
            #expect(events.first?.recordsWritten == Int64(records.seqs.count))
        }
    }

    @Test func `an attempt that a later one has fenced ends with the code for it`() async throws {
        try await WorkerStage.run { stage in
            let first = try await stage.start(attempt: 1)
            try await stage.hold(first, at: .beforeTransactionCommit, count: 2)
            let second = try await stage.start(attempt: 2)
            #expect(await second.waitForExit(timeout: .seconds(60)) == .code(0))
            first.signal(SIGCONT)
            #expect(await first.waitForExit(timeout: .seconds(60)) == .code(4))
            let records = try await stage.bench.records()
            #expect(records.isGapless)
            #expect(records.markers.count == 1)
            #expect(try await stage.finalEvents().map(\.attempt) == [2])
        }
    }

    @Test func `a symbol the exchange does not know ends with the code for good failures`() async throws {
        try await WorkerStage.run { stage in
            let process = try await stage.start(
                attempt: 1, ["SYMBOL": "NOSUCHUSDT", "INSTANCE": "NOSUCHUSDT"])
            #expect(await process.waitForExit(timeout: .seconds(30)) == .code(21))
            let event = try #require(try await stage.finalEvents().first)
            #expect(event.status == .error)
            #expect(event.reason == EndReason.final.rawValue)
            #expect(event.error?.contains("Invalid symbol.") == true)
        }
    }

    @Test(arguments: [
        ["INTERVAL": "5m"], ["TYPE": "api_candles"], ["TYPE": "api_trades"],
        ["TIME_RANGE": "2020-01-03:2020-01-01"],
        ["SYMBOL": "btc-usdt"], ["AS_OF": ""], ["KAFKA_TOPIC": ""],
    ])
    func `a wrong setting ends it before anything is done`(change: [String: String]) async throws {
        try await WorkerStage.run { stage in
            let process = try await stage.start(attempt: 1, change)
            #expect(await process.waitForExit(timeout: .seconds(30)) == .code(10))
            #expect(try await stage.bench.records().seqs.isEmpty)
            #expect(try await stage.finalEvents().isEmpty)
        }
    }
}
