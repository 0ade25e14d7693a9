import KafkaBridge
import LoaderAPITrades
import MarketData
import ReplayExchange
import ServiceRuntime
import Testing
import Workflow

#if canImport(Glibc)
    import Glibc
#endif

/// The real program `streamforge-worker loader-api-trades`, killed where it hurts.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct TradeProcessTests {
    private static let points: [CrashPoint] = [
        .beforeProduce, .afterProduce, .beforeTransactionCommit, .afterTransactionCommit, .beforeFinalEvent,
    ]
    /// The trades of ETHUSDT before 2024-08-08 23:55:00.
    private static let count: Int64 = 728
    private static let firstID: Int64 = 1_520_538_925

    private static func variables(pageRows: Int) -> [String: String] {
        [
            "QUEUE_ID": "wf-ethusdt-api_trades_raw-20240808-abc123", "INSTANCE": "ETHUSDT",
            "SYMBOL": "ETHUSDT", "TYPE": "api_trades_raw", "TIME_RANGE": "2024-08-08:2024-08-08",
            "AS_OF": "1723161300000",
            "EXCHANGE_PAGE_ROWS": String(pageRows), "EXCHANGE_WEIGHT_MAX": "1000000",
        ]
    }

    private static func run(_ body: @Sendable (WorkerStage) async throws -> Void) async throws {
        try await WorkerStage.run(
            latencyMilliseconds: 0,
            { options in
                options.symbols = Symbol("ETHUSDT").map { [$0] }
                options.synthetic = []
            }, body)
    }

    @Test(arguments: points, [7, 20]) func `killed at a point, the next attempt loses and doubles nothing`(
        point: CrashPoint, pageRows: Int
    ) async throws {
        try await Self.run { stage in
            let variables = Self.variables(pageRows: pageRows)
            let kind = "loader-api-trades"
            let first = try await stage.start(attempt: 1, kind: kind, variables)
            try await stage.hold(first, at: point, count: point == .beforeFinalEvent ? 1 : 3)
            first.signal(SIGKILL)
            #expect(await first.waitForExit(timeout: .seconds(10)) == .signal(SIGKILL))
            let second = try await stage.start(attempt: 2, kind: kind, variables)
            #expect(await second.waitForExit(timeout: .seconds(90)) == .code(0))
            let records = try await stage.bench.records(.trade)
            #expect(records.isGapless)
            #expect(records.markers.map(\.count) == [Self.count])
            #expect(records.afterMarker == 0)
            let symbol = try #require(Symbol("ETHUSDT"))
            var range = TradeLoadTests.range()
            range.symbol = symbol
            #expect(
                records.digest
                    == (try await stage.bench.sourceDigest(range, from: Self.firstID, count: Self.count)))
            let events = try await stage.finalEvents()
            #expect(events.map(\.status) == [.finished])
            #expect(events.first?.recordsWritten == Self.count)
            #expect(events.first?.extra?["trades_missing"] == .integer(0))
        }
    }

    /// The day and the next one are over, so all of it may come from files.
    @Test(arguments: [
        ("archive", "archive"), ("auto", "auto"), ("rest", "archive"), ("archive", "rest"), ("rest", "auto"),
    ])
    func `killed while it read from one source, the next attempt goes on with another`(
        first: String, second: String
    ) async throws {
        try await Self.run { stage in
            func variables(_ source: String) -> [String: String] {
                let changes = [
                    "TIME_RANGE": "2024-08-08:2024-08-09", "AS_OF": "9999999999999",
                    "EXCHANGE_SOURCE": source,
                    "EXCHANGE_ARCHIVE_URL": stage.bench.exchange.baseURL,
                ]
                return Self.variables(pageRows: 200).merging(changes) { $1 }
            }
            let kind = "loader-api-trades"
            var attempt = 1
            // The first kill meets the first day, whose file the second attempt begins with again.
            for count in [2, 3] as [UInt64] {
                let process = try await stage.start(attempt: attempt, kind: kind, variables(first))
                try await stage.hold(process, at: .afterTransactionCommit, count: count)
                process.signal(SIGKILL)
                #expect(await process.waitForExit(timeout: .seconds(10)) == .signal(SIGKILL))
                attempt += 1
            }
            let last = try await stage.start(attempt: attempt, kind: kind, variables(second))
            #expect(await last.waitForExit(timeout: .seconds(90)) == .code(0))
            let records = try await stage.bench.records(.trade)
            #expect(records.isGapless && records.markers.map(\.count) == [14_515])
            var range = TradeLoadTests.range()
            range.symbol = try #require(Symbol("ETHUSDT"))
            #expect(
                records.digest
                    == (try await stage.bench.sourceDigest(range, from: Self.firstID, count: 14_515)))
            let files = try #require(try await stage.finalEvents().first).extra?["files"]
            #expect((files != nil) == (second != "rest"))
        }
    }

    @Test(arguments: [
        ["TYPE": "api_candles_5m"], ["TYPE": "api_trades_5m"], ["TIME_RANGE": ""], ["SYMBOL": "eth"],
        ["EXCHANGE_HISTORICAL_TRADES_WEIGHT": "0"], ["EXCHANGE_SOURCE": "files"],
        ["EXCHANGE_ARCHIVE_BYTES_MAX": "1"],
    ])
    func `a wrong setting ends it before anything is done`(change: [String: String]) async throws {
        try await Self.run { stage in
            let variables = Self.variables(pageRows: 100).merging(change) { $1 }
            let process = try await stage.start(attempt: 1, kind: "loader-api-trades", variables)
            #expect(await process.waitForExit(timeout: .seconds(30)) == .code(10))
            #expect(try await stage.finalEvents().isEmpty)
        }
    }
}
