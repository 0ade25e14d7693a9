import ExchangeBudget
import KafkaBridge
import PostgresBridge
import ReplayExchange
import ServiceRuntime
import TestSupport
import Testing
import Workflow

@testable import QueueManager

#if canImport(Glibc)
    import Glibc
#endif

/// Real programs that share one small limit of the exchange through a real database.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct SharedBudgetTests {
    private static let loaders = 4
    private static let weightMax = 80

    private static var limits: WeightLimits {
        var limits = WeightLimits()
        limits.weightMax = weightMax
        limits.windowSeconds = 4
        // The first request after a 429 would bring a ban.
        limits.violationsMax = 0
        return limits
    }

    /// The programs' own variables.
    private static func variables(
        _ stage: WorkerStage, _ pool: PostgresPool, topic: String, loader: Int
    ) -> [String: String] {
        [
            "INSTANCE": "BENCHUSDT\(loader)", "KAFKA_TOPIC": topic, "KAFKA_PARTITIONS": String(loader),
            "EXCHANGE_BUDGET_URL": pool.configuration.currentURL().revealed,
            "EXCHANGE_WEIGHT_MAX": String(weightMax), "EXCHANGE_PAGE_ROWS": "75", "LEASE_SECONDS": "3",
        ]
    }

    /// The exchange's own count, each window's highest, until `processes` have ended.
    private static func windows(
        of stage: WorkerStage, while processes: [ChildProcess]
    ) async throws -> [Int] {
        let exchange = stage.bench.exchange
        var peaks: [Int] = []
        var last = 0
        let deadline = ContinuousClock.now + .seconds(120)
        while processes.contains(where: { $0.exit == nil }) {
            if ContinuousClock.now > deadline {
                let exits = processes.map { $0.exit }
                let messages = try await stage.allEvents().suffix(40).map { "\($0.instance): \($0.message)" }
                let log = try stage.log().suffix(6_000)
                Issue.record("the loaders did not end: \(exits), \(peaks)\n\(messages)\n\(log)")
                return peaks
            }
            let used = exchange.usedWeight()
            if used < last || peaks.isEmpty { peaks.append(used) } else { peaks[peaks.count - 1] = used }
            last = used
            try await Task.sleep(for: .milliseconds(5))
        }
        return peaks
    }

    @Test func `four processes share one limit, one is killed, and the exchange never refuses`() async throws
    {
        try await withPostgres { pool in
            try await EngineStore(pool).migrate()
            try await WorkerStage.run(limits: Self.limits) { stage in
                // Asked before the loaders use the limit up: afterwards the exchange might refuse it.
                let source = try await stage.bench.sourceDigest(stage.bench.range())
                let topic = uniqueName("wf-shared")
                let admin = try KafkaAdmin(stage.bench.kafka)
                try await admin.createTopics([TopicSpecification(topic, partitions: Self.loaders)])
                await admin.close()
                let killed = try await stage.start(
                    attempt: 1, Self.variables(stage, pool, topic: topic, loader: 0))
                try await stage.hold(killed, at: .afterTransactionCommit, count: 1)
                killed.signal(SIGKILL)
                #expect(await killed.waitForExit(timeout: .seconds(10)) == .signal(SIGKILL))
                var processes: [ChildProcess] = []
                for loader in 0..<Self.loaders {
                    processes.append(
                        try await stage.start(
                            attempt: loader == 0 ? 2 : 1,
                            Self.variables(stage, pool, topic: topic, loader: loader)))
                }
                let peaks = try await Self.windows(of: stage, while: processes)
                for process in processes { #expect(process.exit == .code(0)) }
                let answers = stage.bench.exchange.statistics.answers
                #expect(answers["429"] == nil)
                #expect(answers["418"] == nil)
                #expect(peaks.allSatisfy { $0 <= Self.weightMax }, "\(peaks)")
                // 72 may be used; the windows between the first and the last are.
                let whole = peaks.dropFirst(2).dropLast()
                #expect(whole.max() ?? 0 >= 66, "\(peaks)")
                for loader in 0..<Self.loaders {
                    let records = try await Records.read(
                        stage.bench.kafka, TopicPartition(topic, Int32(loader)), .candle)
                    #expect(records.isGapless)
                    #expect(records.markers.map(\.count) == [4_320])
                    #expect(records.digest == source)
                }
                let messages = Set(try await stage.allEvents().map { $0.message })
                #expect(
                    messages.contains { $0.hasPrefix("Waiting for exchange weight until 2") }, "\(messages)")
                let views = try await BudgetStore(pool).budgets()
                #expect(views.map(\.key.exchange) == [stage.bench.exchange.baseURL])
                // Who ended in good order holds nothing.
                #expect(views.first?.leases.allSatisfy { $0.holder.waitingSince == nil } == true)
            }
        }
    }

    @Test func `without a database the limit counts per process, and the log says so`() async throws {
        try await WorkerStage.run { stage in
            let process = try await stage.start(attempt: 1)
            #expect(await process.waitForExit(timeout: .seconds(60)) == .code(0))
            #expect(try stage.log().contains("Counted the exchange's limit per process"))
        }
    }

    @Test func `a database without the budget is of use only where nothing else was asked for`() async throws
    {
        try await withPostgres { pool in
            let url = pool.configuration.currentURL().revealed
            try await WorkerStage.run { stage in
                let process = try await stage.start(attempt: 1, ["POSTGRES_URL": url])
                #expect(await process.waitForExit(timeout: .seconds(60)) == .code(0))
                #expect(try stage.log().contains("POSTGRES_URL leads to no budget"))
                let second = try await stage.start(attempt: 2, ["EXCHANGE_BUDGET_URL": url])
                #expect(await second.waitForExit(timeout: .seconds(60)) == .code(21))
            }
        }
    }

    @Test func `a database that is away is waited for, and the events say so`() async throws {
        try await WorkerStage.run { stage in
            let process = try await stage.start(
                attempt: 1,
                ["EXCHANGE_BUDGET_URL": "postgresql://x@127.0.0.1:1/x", "LEASE_SECONDS": "3"])
            let deadline = ContinuousClock.now + .seconds(60)
            var messages: [String] = []
            while !messages.contains("Waiting for the database of the exchange's budget") {
                try #require(ContinuousClock.now < deadline, "\(messages)")
                try #require(process.exit == nil)
                messages = try await stage.allEvents().map { $0.message }
            }
            process.signal(SIGTERM)
            #expect(await process.waitForExit(timeout: .seconds(20)) == .code(3))
        }
    }
}
