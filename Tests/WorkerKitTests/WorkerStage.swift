import Foundation
import KafkaBridge
import LocalStack
import ServiceRuntime
import TestSupport
import Testing
import Workflow

/// The world of one worker process: its topics on a real broker, commands to it, events from it.
final class WorkerStage: Sendable {
    let connection: KafkaConnection
    let queueID: QueueID
    let controlTopic = uniqueName("control")
    let eventsTopic = uniqueName("events")
    private let admin: KafkaAdmin
    private let producer: KafkaProducer
    private let consumer: KafkaConsumer
    private let logFolder: String

    static let limit = Duration.seconds(30)

    private init(_ connection: KafkaConnection) async throws {
        self.connection = connection
        queueID = try #require(QueueID("wf-btcusdt-api_candles_5m-20240801-abc123"))
        admin = try KafkaAdmin(connection)
        producer = try KafkaProducer(connection)
        consumer = try KafkaConsumer(connection)
        logFolder = FileManager.default.temporaryDirectory.appending(path: uniqueName("worker")).path
        try FileManager.default.createDirectory(atPath: logFolder, withIntermediateDirectories: true)
        try await admin.createTopics([
            TopicSpecification(controlTopic, partitions: 1),
            TopicSpecification(eventsTopic, partitions: 1),
        ])
        try await consumer.assign([TopicPartition(eventsTopic, 0): .beginning])
    }

    static func with(
        _ connection: KafkaConnection, _ body: (WorkerStage) async throws -> Void
    ) async throws {
        let stage = try await WorkerStage(connection)
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(stage))
        } catch {
            outcome = .failure(error)
        }
        await stage.consumer.close()
        try await stage.producer.close()
        await stage.admin.close()
        try? FileManager.default.removeItem(atPath: stage.logFolder)
        try outcome.get()
    }

    var logFile: String { "\(logFolder)/log" }

    func environment(records: Int64, lease: String = "30") -> [String: String] {
        [
            "QUEUE_ID": queueID.rawValue, "STEP": "candles", "INSTANCE": "BTCUSDT", "ATTEMPT": "2",
            "SYMBOL": "BTCUSDT", "TYPE": "api_candles_5m", "CONTROL_PARTITION": "0", "CONTROL_OFFSET": "0",
            "KAFKA_BOOTSTRAP_SERVERS": connection.bootstrapServers, "QUEUE_CONTROL_TOPIC": controlTopic,
            "QUEUE_EVENTS_TOPIC": eventsTopic, "LEASE_SECONDS": lease, "PORT": "0", "LOG_LEVEL": "debug",
            "PROBE_RECORDS": String(records),
            "TRACEPARENT": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ]
    }

    /// Starts the probe's worker, which ends with this process at the latest.
    func launch(
        _ environment: [String: String], limits: ProcessLimits = ProcessLimits()
    ) async throws -> ChildProcess {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let probe = (own as NSString).deletingLastPathComponent + "/test-probe"
        return try await ChildProcess.start(
            .init(
                probe, ["worker"], environment: environment, logFile: logFile, diesWithParent: true,
                limits: limits))
    }

    func command(_ kind: ControlCommand.Command, seq: Int64, attempt: Int? = nil) async throws {
        let command = ControlCommand(
            command: kind, queueID: queueID, attempt: attempt, commandID: "command-\(seq)", commandSeq: seq,
            timestamp: 1_722_470_400.5)
        _ = try await producer.send(
            key: Array(queueID.rawValue.utf8), value: try MessageCodec.encode(command), to: controlTopic)
    }

    /// Reads the next events until one fits; returns them all.
    func events(until fits: (QueueEvent) -> Bool) async throws -> [QueueEvent] {
        var events: [QueueEvent] = []
        let deadline = ContinuousClock.now + Self.limit
        while ContinuousClock.now < deadline {
            // One at a time: what comes after the one that fits is for the next call.
            for record in try await consumer.poll(recordsMax: 1, timeout: .seconds(1)) {
                events.append(try MessageCodec.decode(QueueEvent.self, from: try #require(record.value)))
            }
            if let last = events.last, fits(last) { return events }
        }
        Issue.record("no such event within \(Self.limit), only \(events.map(\.message)); log: \(log)")
        return events
    }

    /// Reads what is left on the topic once the worker has ended.
    func restOfEvents() async throws -> [QueueEvent] {
        let end = try await admin.watermarks(of: TopicPartition(eventsTopic, 0)).high
        var events: [QueueEvent] = []
        while let position = try await consumer.position([TopicPartition(eventsTopic, 0)]).values.first,
            (position ?? 0) < end
        {
            for record in try await consumer.poll(timeout: .seconds(1)) {
                events.append(try MessageCodec.decode(QueueEvent.self, from: try #require(record.value)))
            }
        }
        return events
    }

    /// Lines of the worker's log as JSON objects.
    var logLines: [[String: JSONValue]] {
        log.split(separator: "\n").compactMap {
            try? MessageCodec.decode([String: JSONValue].self, fromText: String($0))
        }
    }

    var log: String { (try? String(contentsOfFile: logFile, encoding: .utf8)) ?? "" }

    /// The port the worker's log names.
    func port() async throws -> Int {
        try await until("the port is logged") {
            logLines.compactMap { $0["port"]?.string.flatMap(Int.init) }.first
        }
    }

    /// Looks again and again until there is a value.
    func until<Value>(_ what: String, _ look: () async throws -> Value?) async throws -> Value {
        let deadline = ContinuousClock.now + Self.limit
        while ContinuousClock.now < deadline {
            if let value = try await look() { return value }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw WorkerStageError(what: what, log: log)
    }
}

struct WorkerStageError: Error, CustomStringConvertible {
    var what: String
    var log: String
    var description: String { "not within \(WorkerStage.limit): \(what); log: \(log)" }
}
