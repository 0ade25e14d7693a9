import Foundation
import HTTPBridge
import JobLaunchers
import KafkaBridge
import ServiceRuntime
import TestSupport
import Testing
import Workflow

/// The world of pool workers: a broker, offers by the real launcher, commands to them, events from them.
final class PoolStage: Sendable {
    let connection: KafkaConnection
    let launcher: PoolLauncher
    let controlTopic = uniqueName("control")
    let eventsTopic = uniqueName("events")
    private let admin: KafkaAdmin
    private let producer: KafkaProducer
    private let consumer: KafkaConsumer
    private let http = HTTPClient()
    private let folder: String

    static let limit = Duration.seconds(30)
    static let controlPartitions: Int32 = 3
    static let topic = DerivedName.poolTopic(.dummyService)

    private init(_ connection: KafkaConnection) async throws {
        self.connection = connection
        launcher = try await PoolLauncher(
            connection, .init(targets: [.dummyService], environment: ["LEASE_SECONDS": "30"]),
            observe: { _ in })
        admin = try KafkaAdmin(connection)
        producer = try KafkaProducer(connection)
        var configuration = KafkaConsumerConfiguration()
        configuration.idleRestMax = .milliseconds(3)
        consumer = try KafkaConsumer(connection, configuration)
        folder = FileManager.default.temporaryDirectory.appending(path: uniqueName("pool")).path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try await admin.createTopics([
            TopicSpecification(controlTopic, partitions: Int(Self.controlPartitions)),
            TopicSpecification(eventsTopic, partitions: 1),
        ])
        try await consumer.assign([TopicPartition(eventsTopic, 0): .beginning])
    }

    /// Runs a test with a broker of its own: the pool's topic and group have fixed names.
    static func with(_ body: (PoolStage) async throws -> Void) async throws {
        try await withBroker { connection in
            let stage = try await PoolStage(connection)
            let outcome: Result<Void, any Error>
            do {
                outcome = .success(try await body(stage))
            } catch {
                outcome = .failure(error)
            }
            await stage.http.close()
            await stage.launcher.close()
            await stage.consumer.close()
            try await stage.producer.close()
            await stage.admin.close()
            try? FileManager.default.removeItem(atPath: stage.folder)
            try outcome.get()
        }
    }

    /// What the pool's group has committed; nil for partitions where it never did.
    func committed() async throws -> [Int64?] {
        guard let count = try await admin.partitionCounts(of: [Self.topic])[Self.topic] else { return [] }
        let partitions = (0..<Int32(count)).map { TopicPartition(Self.topic, $0) }
        let positions = try await admin.committedOffsets(
            of: DerivedName.poolGroup(topic: Self.topic), partitions)
        return partitions.map { positions[$0] ?? nil }
    }

    // MARK: - Workers

    /// A running pool worker.
    struct Worker: Sendable {
        let process: ChildProcess
        let log: String

        var text: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

        /// The port its log names; nil before.
        var port: Int? {
            text.split(separator: "\n").compactMap { line in
                let fields = try? MessageCodec.decode([String: JSONValue].self, fromText: String(line))
                return fields?["port"]?.string.flatMap { Int($0) }
            }.first
        }
    }

    /// Starts a worker, which ends with this process at the latest, and waits until it takes offers.
    func startWorker(_ id: String, slots: Int = 4, _ more: [String: String] = [:]) async throws -> Worker {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let program = (own as NSString).deletingLastPathComponent + "/streamforge-worker"
        var environment = [
            "KAFKA_BOOTSTRAP_SERVERS": connection.bootstrapServers, "QUEUE_CONTROL_TOPIC": controlTopic,
            "QUEUE_EVENTS_TOPIC": eventsTopic, "PORT": "0", "LOG_LEVEL": "debug", "POOL_WORKER_ID": id,
            "POOL_SLOTS": String(slots),
        ]
        environment.merge(more) { _, new in new }
        let log = "\(folder)/\(uniqueName(id)).log"
        let worker = Worker(
            process: try await ChildProcess.start(
                .init(program, ["pool"], environment: environment, logFile: log, diesWithParent: true)),
            log: log)
        _ = try await until("\(id) is ready: \(worker.text.suffix(2_000))") {
            guard let port = worker.port else { return Bool?.none }
            let url = "http://127.0.0.1:\(port)/health/ready"
            return try await http.execute(HTTPRequest(.get, url)).status == 200 ? true : nil
        }
        return worker
    }

    /// SIGTERM, and the exit that follows.
    func stop(_ worker: Worker) async -> ChildProcess.Exit? {
        kill(worker.process.pid, SIGTERM)
        return await worker.process.waitForExit(timeout: Self.limit)
    }

    /// SIGKILL, and waits until it is gone.
    func crash(_ worker: Worker) async {
        worker.process.signal(SIGKILL)
        _ = await worker.process.waitForExit(timeout: Self.limit)
    }

    /// The value of a metric, of all its label sets together.
    func metric(_ name: String, of worker: Worker) async throws -> Double {
        let port = try #require(worker.port)
        let answer = try await http.execute(HTTPRequest(.get, "http://127.0.0.1:\(port)/metrics"))
        let lines = String(decoding: answer.body, as: UTF8.self).split(separator: "\n")
        return lines.filter { $0.hasPrefix(name) && !$0.hasPrefix("#") }
            .compactMap { Double($0.split(separator: " ").last ?? "") }.reduce(0, +)
    }

    // MARK: - Offers and commands

    static func queue(_ number: Int) throws -> QueueID {
        let digits = String(number)
        let suffix = String(repeating: "0", count: 6 - digits.count) + digits
        return try #require(QueueID("wf-btcusdt-dummy-20240801-\(suffix)"))
    }

    static let step = StepID("try")

    func controlPartition(_ queue: QueueID) -> Int32 {
        KeyPartition.of(queue.rawValue, count: Self.controlPartitions)
    }

    func controlEnd(_ queue: QueueID) async throws -> Int64 {
        let partition = TopicPartition(controlTopic, controlPartition(queue))
        return try await admin.endOffsets(of: [partition])[partition] ?? 0
    }

    func job(
        _ queue: QueueID, attempt: Int = 1, controlOffset: Int64 = 0, _ more: [String: String] = [:]
    ) throws -> Job {
        let id = InstanceID(step: try #require(Self.step), instance: "BTCUSDT")
        var environment = [
            "QUEUE_ID": queue.rawValue, "STEP": id.step.rawValue, "INSTANCE": id.instance,
            "ATTEMPT": String(attempt), "TARGET": "dummy-service", "SYMBOL": "BTCUSDT", "TYPE": "dummy",
            "CONTROL_PARTITION": String(controlPartition(queue)), "CONTROL_OFFSET": String(controlOffset),
            "QUEUE_CONTROL_TOPIC": controlTopic, "QUEUE_EVENTS_TOPIC": eventsTopic, "DUMMY_SECONDS": "0",
        ]
        environment.merge(more) { _, new in new }
        return Job(
            queueID: queue, id: id, attempt: attempt, target: .dummyService, environment: environment)
    }

    @discardableResult
    func offer(
        _ queue: QueueID, attempt: Int = 1, controlOffset: Int64 = 0, _ more: [String: String] = [:]
    ) async throws -> JobHandle {
        try await launcher.launch(try job(queue, attempt: attempt, controlOffset: controlOffset, more))
    }

    func command(
        _ kind: ControlCommand.Command, _ queue: QueueID, seq: Int64 = 1, attempt: Int? = nil
    ) async throws {
        let command = ControlCommand(
            command: kind, queueID: queue, attempt: attempt, commandID: "command-\(seq)", commandSeq: seq,
            reason: "why", timestamp: 1_722_470_400.5)
        _ = try await producer.send(
            key: Array(queue.rawValue.utf8), value: try MessageCodec.encode(command), to: controlTopic)
    }

    /// Puts any bytes on the pool's topic.
    func offer(bytes: [UInt8]) async throws {
        _ = try await producer.send(key: Array("x".utf8), value: bytes, to: Self.topic)
    }

    // MARK: - Events

    /// Reads events until they fit; returns them all.
    func events(_ what: String, until fits: ([QueueEvent]) -> Bool) async throws -> [QueueEvent] {
        var events: [QueueEvent] = []
        let deadline = ContinuousClock.now + Self.limit
        while !fits(events) {
            guard ContinuousClock.now < deadline else {
                throw PoolStageError(what: "\(what); events: \(events.map(\.message))")
            }
            for record in try await consumer.poll(recordsMax: 500, timeout: .milliseconds(200)) {
                try add(record, to: &events)
            }
        }
        return events
    }

    /// Heartbeats are left out: they come by time.
    private func add(_ record: ConsumedRecord, to events: inout [QueueEvent]) throws {
        let event = try MessageCodec.decode(QueueEvent.self, from: try #require(record.value))
        if event.status != .loading { events.append(event) }
    }

    /// What is on the topic and was not read yet.
    func restOfEvents() async throws -> [QueueEvent] {
        let end = try await admin.watermarks(of: TopicPartition(eventsTopic, 0)).high
        return try await events("the rest") { _ in true } + rest(end)
    }

    private func rest(_ end: Int64) async throws -> [QueueEvent] {
        var events: [QueueEvent] = []
        let partition = TopicPartition(eventsTopic, 0)
        while let position = try await consumer.position([partition])[partition], (position ?? 0) < end {
            for record in try await consumer.poll(timeout: .milliseconds(200)) {
                try add(record, to: &events)
            }
        }
        return events
    }

    /// Looks again and again until there is a value.
    func until<Value>(_ what: @autoclosure () -> String, _ look: () async throws -> Value?) async throws
        -> Value
    {
        let deadline = ContinuousClock.now + Self.limit
        while ContinuousClock.now < deadline {
            if let value = try await look() { return value }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw PoolStageError(what: what())
    }

    func untilState(_ wanted: JobState, of handle: JobHandle) async throws {
        _ = try await until("the offer is \(wanted)") {
            try await launcher.state(of: handle) == wanted ? true : nil
        }
    }
}

struct PoolStageError: Error, CustomStringConvertible {
    var what: String
    var description: String { "not within \(PoolStage.limit): \(what)" }
}
