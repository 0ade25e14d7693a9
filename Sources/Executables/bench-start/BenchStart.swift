import Foundation
import KafkaBridge
import LocalStack
import ServiceRuntime
import Workflow

/// Measures a worker's cold start: from exec until its `started` is on the broker and read back.
///
///     bench-start [--count 20] EXECUTABLE [ARGUMENT…]
///
/// The worker gets the environment of this process and an identity of its own; it is killed once it has
/// started. The broker is the one of `KAFKA_BOOTSTRAP_SERVERS`, `KAFKA_HOME`, or scripts/setup. Prints the
/// median, the least and the most, in milliseconds.
@main
struct BenchStart {
    static func main() async {
        do {
            try await measure()
        } catch {
            FileHandle.standardError.write(Data("bench-start: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func measure() async throws {
        var arguments = Array(CommandLine.arguments.dropFirst())
        var count = 20
        if arguments.first == "--count", arguments.count >= 2, let number = Int(arguments[1]), number > 0 {
            count = number
            arguments.removeFirst(2)
        }
        guard let executable = arguments.first else {
            print("usage: bench-start [--count N] EXECUTABLE [ARGUMENT…]")
            exit(2)
        }
        let folder = FileManager.default.temporaryDirectory.appending(path: "bench-start-\(getpid())").path
        let environment = ProcessInfo.processInfo.environment
        let broker = try await KafkaBroker.start(
            KafkaBroker.Choice(environment: environment), directory: folder, diesWithParent: true)
        let bench = try await Bench(broker.connection, environment)
        // The first one warms the disk's cache.
        _ = try await bench.start(executable, Array(arguments.dropFirst()), attempt: 1)
        var taken: [Double] = []
        for attempt in 2...(count + 1) {
            taken.append(try await bench.start(executable, Array(arguments.dropFirst()), attempt: attempt))
        }
        await bench.close()
        await broker.stop(grace: .seconds(5))
        try? FileManager.default.removeItem(atPath: folder)
        taken.sort()
        let shown = [taken[taken.count / 2], taken[0], taken[taken.count - 1]].map {
            String(format: "%.0f", $0)
        }
        print("cold start of \(count): median \(shown[0]) ms, least \(shown[1]) ms, most \(shown[2]) ms")
    }
}

/// Starts workers one after the other and waits for each one's `started`.
private struct Bench {
    private let environment: [String: String]
    private let consumer: KafkaConsumer

    private static let limit = Duration.seconds(30)

    init(_ connection: KafkaConnection, _ inherited: [String: String]) async throws {
        let suffix = UUID().uuidString.prefix(8).lowercased()
        let (control, events) = ("bench-control-\(suffix)", "bench-events-\(suffix)")
        let admin = try KafkaAdmin(connection)
        try await admin.createTopics([
            TopicSpecification(control, partitions: 1), TopicSpecification(events, partitions: 1),
        ])
        await admin.close()
        consumer = try KafkaConsumer(connection)
        try await consumer.assign([TopicPartition(events, 0): .beginning])
        let own = [
            "QUEUE_ID": "wf-btcusdt-api_candles_5m-20240801-bench1", "STEP": "candles",
            "INSTANCE": "BTCUSDT", "SYMBOL": "BTCUSDT", "TYPE": "api_candles_5m", "CONTROL_PARTITION": "0",
            "CONTROL_OFFSET": "0", "QUEUE_CONTROL_TOPIC": control, "QUEUE_EVENTS_TOPIC": events, "PORT": "0",
            "KAFKA_BOOTSTRAP_SERVERS": connection.bootstrapServers,
        ]
        environment = inherited.merging(own) { _, new in new }
    }

    /// - Returns: milliseconds.
    func start(_ executable: String, _ arguments: [String], attempt: Int) async throws -> Double {
        var environment = environment
        environment["ATTEMPT"] = String(attempt)
        let begun = ContinuousClock.now
        let worker = try await ChildProcess.start(
            .init(
                executable, arguments, environment: environment, logFile: "/dev/null", diesWithParent: false))
        defer { kill(worker.pid, SIGKILL) }
        while ContinuousClock.now - begun < Self.limit {
            for record in try await consumer.poll(timeout: .seconds(1)) {
                let event = try MessageCodec.decode(QueueEvent.self, from: record.value ?? [])
                if event.attempt == attempt, event.status == .started {
                    return (ContinuousClock.now - begun) / .milliseconds(1)
                }
            }
            if let exit = worker.exit { throw BenchError(description: "the worker ended: \(exit)") }
        }
        throw BenchError(description: "the worker did not start within \(Self.limit)")
    }

    func close() async { await consumer.close() }
}

private struct BenchError: Error, CustomStringConvertible {
    var description: String
}
