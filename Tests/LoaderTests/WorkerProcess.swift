import Foundation
import KafkaBridge
import LoaderAPICandles
import LoaderKit
import MarketData
import ReplayExchange
import ServiceRuntime
import TestSupport
import Testing
import Workflow

/// The real program, run as the launcher runs it, with a folder in which it shows where it is.
struct WorkerStage: Sendable {
    let bench: LoadBench
    let directory: String
    let events: String
    let control: String

    static func run(
        latencyMilliseconds: Int = 5, limits: WeightLimits? = nil,
        _ configure: (inout ReplayOptions) -> Void = { _ in },
        _ body: @Sendable (WorkerStage) async throws -> Void
    ) async throws {
        try await LoadBench.run { options in
            configure(&options)
            options.faults.latencyMilliseconds = latencyMilliseconds
            options.limits = limits
        } _: { bench in
            let directory = FileManager.default.temporaryDirectory.appending(path: uniqueName("crash")).path
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let stage = WorkerStage(
                bench: bench, directory: directory, events: uniqueName("events"),
                control: uniqueName("control"))
            let admin = try KafkaAdmin(bench.kafka)
            try await admin.createTopics([
                TopicSpecification(stage.events, partitions: 1),
                TopicSpecification(stage.control, partitions: 1),
            ])
            await admin.close()
            try await body(stage)
        }
    }

    /// Beside the test program, where the build puts it.
    static func program() throws -> String {
        let folder = try #require(Bundle.main.executableURL).deletingLastPathComponent()
        let path = folder.appending(path: "streamforge-worker").path
        try #require(FileManager.default.isExecutableFile(atPath: path), "\(path) is not built")
        return path
    }

    /// - Parameter changes: variables set otherwise than for three days of candles.
    func start(
        attempt: Int, kind: String = "loader-api-candles", _ changes: [String: String] = [:]
    ) async throws -> ChildProcess {
        var environment = [
            "QUEUE_ID": "wf-benchusdt-api_candles_1m-20200101-abc123", "STEP": "candles",
            "INSTANCE": "BENCHUSDT", "ATTEMPT": String(attempt), "SYMBOL": "BENCHUSDT",
            "TYPE": "api_candles_1m", "TIME_RANGE": "2020-01-01:2020-01-03", "AS_OF": "9999999999999",
            "KAFKA_TOPIC": bench.output.topic, "KAFKA_PARTITIONS": String(bench.output.partition),
            "KAFKA_BOOTSTRAP_SERVERS": bench.kafka.bootstrapServers, "QUEUE_EVENTS_TOPIC": events,
            "QUEUE_CONTROL_TOPIC": control, "CONTROL_PARTITION": "0", "PORT": "0",
            "BINANCE_API_URL": bench.exchange.baseURL, "EXCHANGE_PAGE_ROWS": "100",
            "CRASH_POINTS_DIR": directory,
        ]
        environment.merge(changes) { _, new in new }
        return try await ChildProcess.start(
            ChildProcess.Command(
                try Self.program(), [kind], environment: environment,
                logFile: "\(directory)/worker.log", diesWithParent: true))
    }

    /// Tells a process to stand still when it reaches `point` for the `count`th time, and waits until it does.
    func hold(_ process: ChildProcess, at point: CrashPoint, count: UInt64) async throws {
        try await TestSupport.hold(process, pages: directory, at: point, count: count)
    }

    /// What the workers wrote.
    func log() throws -> String { try String(contentsOfFile: "\(directory)/worker.log", encoding: .utf8) }

    func finalEvents() async throws -> [QueueEvent] { try await allEvents().filter(\.finished) }

    func allEvents() async throws -> [QueueEvent] {
        let admin = try KafkaAdmin(bench.kafka)
        let end = try await admin.watermarks(of: TopicPartition(events, 0)).high
        await admin.close()
        var found: [QueueEvent] = []
        guard end > 0 else { return found }
        let consumer = try KafkaConsumer(bench.kafka)
        try await consumer.assign([TopicPartition(events, 0): .beginning])
        var isAtEnd = false
        while !isAtEnd {
            let polled = try await consumer.poll(timeout: .seconds(5))
            for record in polled {
                found.append(try MessageCodec.decode(QueueEvent.self, from: record.value ?? []))
            }
            for case .endReached(_, let offset) in polled.events where offset >= end { isAtEnd = true }
        }
        await consumer.close()
        return found
    }
}
