import BinanceFeed
import Foundation
import HTTPBridge
import KafkaBridge
import LoaderAPICandles
import LoaderKit
import MarketData
import ReplayExchange
import ServiceRuntime
import TestSupport
import Testing
import Workflow

/// A partition to load into, an exchange to load from, and what a test asks of them.
struct LoadBench: Sendable {
    static let symbol = Symbol("BENCHUSDT") ?? { preconditionFailure("a right symbol") }()
    /// Open time of the made-up series' first candle.
    static let start: Int64 = 1_577_836_800_000
    static let minute: Int64 = 60_000

    let kafka: KafkaConnection
    let exchange: ReplayExchange.Running
    let output: TopicPartition
    let transactionalID: String

    /// Runs `body` with a broker, a new topic and an exchange that has 4,320 one-minute candles: three days.
    static func run(
        _ configure: (inout ReplayOptions) -> Void = { _ in },
        _ body: @Sendable (LoadBench) async throws -> Void
    ) async throws {
        var options = ReplayOptions()
        options.symbols = []
        options.synthetic = [SyntheticSpecification("BENCHUSDT:1m:4320")].compactMap { $0 }
        options.limits = nil
        configure(&options)
        let chosen = options
        try await withBroker { kafka in
            let topic = uniqueName("wf-load")
            let admin = try KafkaAdmin(kafka)
            try await admin.createTopics([TopicSpecification(topic, partitions: 2)])
            await admin.close()
            try await ReplayExchange.withServer(chosen) { exchange in
                try await body(
                    LoadBench(
                        kafka: kafka, exchange: exchange, output: TopicPartition(topic, 1),
                        transactionalID: "sf-\(topic)"))
            }
        }
    }

    func range(from: Int64 = 0, candles: Int64 = 4_320, asOf: Int64 = 9_999_999_999_999) -> KlineRange {
        let first = Self.start + from * Self.minute
        return KlineRange(
            symbol: Self.symbol, interval: .minute1, from: first, to: first + candles * Self.minute,
            asOf: asOf)
    }

    /// What is loaded, and as which attempt.
    struct Job: Sendable {
        var range: KlineRange
        var plan: LoadPlan
    }

    func job(_ range: KlineRange? = nil, attempt: Int = 1) -> Job {
        Job(range: range ?? self.range(), plan: plan(attempt: attempt))
    }

    func plan(attempt: Int) -> LoadPlan {
        LoadPlan(output: output, transactionalID: transactionalID, attempt: attempt)
    }

    func feed(pageRows: Int = 100) -> BinanceFeed {
        var configuration = BinanceFeed.Configuration()
        configuration.pageRowsMax = pageRows
        configuration.retry.backoffInitial = .milliseconds(5)
        configuration.retry.backoffMax = .milliseconds(50)
        configuration.retry.attemptMax = 50
        return BinanceFeed(
            baseURL: exchange.baseURL, http: HTTPClient(), budget: LocalBudget(), configuration: configuration
        )
    }

    /// Ports of a load that is never stopped, changed by `change`.
    func ports(_ change: (inout LoadPorts) -> Void = { _ in }) -> LoadPorts {
        var ports = LoadPorts(kafka: kafka, stopRequested: { await Stop().wait() })
        change(&ports)
        return ports
    }

    func load(
        _ job: Job? = nil, pageRows: Int = 100, ports: LoadPorts? = nil, limits: LoadLimits = LoadLimits()
    ) async throws -> (LoadOutcome, LoadProgress) {
        let job = job ?? self.job()
        let source = CandleSource(job.range, feed: feed(pageRows: pageRows))
        return try await RecordLoad(job.plan, source: source, ports: ports ?? self.ports(), limits: limits)
            .run()
    }

    /// Loads until at least `candles` are committed, then stops it.
    func loadPart(_ candles: Int64) async throws -> LoadProgress {
        let stop = Stop()
        var limits = LoadLimits()
        limits.pagesPerTransactionMax = 2
        let ports = ports {
            $0.stopRequested = { await stop.wait() }
            $0.report = { if $0.lastSeq >= candles { stop.request() } }
        }
        let (outcome, progress) = try await load(ports: ports, limits: limits)
        try #require(outcome == .interrupted)
        try #require((candles..<4_320).contains(progress.lastSeq), "stopped at \(progress.lastSeq)")
        return progress
    }

    /// All committed records of the partition, with the end marker.
    func records(_ shape: RecordShape = .candle) async throws -> Records {
        try await Records.read(kafka, output, shape)
    }

    /// What the exchange serves for `range`, read by a path of its own.
    func sourceDigest(_ range: KlineRange) async throws -> RangeDigest {
        try await Records.sourceDigest(baseURL: exchange.baseURL, range)
    }
}

/// A stop that a test asks for.
final class Stop: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1))
    }

    func request() { continuation.finish() }

    /// Returns when it was asked for, or the task is cancelled.
    func wait() async {
        for await _ in stream {}
    }
}
