import Foundation
import KafkaBridge
import ServiceRuntime
import TestSupport
import Testing
import Workflow

/// The real program, run as the launcher runs it.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct TrainerProcessTests {
    private static let epochs = 60

    @Test func `a killed trainer is followed by one that makes the same model`() async throws {
        try await TrainerStage.with { stage in
            try await withBroker { kafka in
                let events = try await Self.topics(kafka)
                let calm = try await Self.start(stage, kafka, events, attempt: 1)
                #expect(await calm.waitForExit(timeout: .seconds(300)) == .code(0), "\(Self.log(stage))")
                let expected = try Self.published(stage)
                #expect(expected.count == 7)
                try FileManager.default.removeItem(atPath: stage.folder + "/objects/models")

                let killed = try await Self.start(stage, kafka, events, attempt: 2)
                try await Self.waitForCheckpoint(stage, killed)
                killed.identity.signalGroup(SIGKILL)
                #expect(await killed.waitForExit(timeout: .seconds(30)) == .signal(SIGKILL))
                #expect(try Self.published(stage).isEmpty)
                let next = try await Self.start(stage, kafka, events, attempt: 3)
                #expect(await next.waitForExit(timeout: .seconds(300)) == .code(0), "\(Self.log(stage))")
                #expect(try Self.published(stage) == expected)
                #expect(Self.log(stage).contains("Went on from a checkpoint"))

                let ends = try await Self.finalEvents(kafka, events.events)
                #expect(ends.map(\.attempt) == [1, 3] && ends.allSatisfy { $0.status == .finished })
                #expect(
                    ends[0].extra
                        == ends[1].extra.map { extra in
                            extra.merging(["folder": ends[0].extra?["folder"] ?? .null]) { _, new in new }
                        })
            }
        }
    }

    @Test func `a wrong setting ends the program before it begins`() async throws {
        let log = FileManager.default.temporaryDirectory.appending(path: uniqueName("log")).path
        defer { try? FileManager.default.removeItem(atPath: log) }
        let process = try await ChildProcess.start(
            ChildProcess.Command(
                try Self.program(), ["gnn-trainer"],
                environment: ["EPOCHS": "many", "MODEL_NAME": "1x"], logFile: log, diesWithParent: true))
        #expect(await process.waitForExit(timeout: .seconds(60)) == .code(10))
        let text = try String(contentsOfFile: log, encoding: .utf8)
        #expect(text.contains("EPOCHS") && text.contains("MODEL_NAME"))
    }

    // MARK: Parts

    private static func program() throws -> String {
        let folder = try #require(Bundle.main.executableURL).deletingLastPathComponent()
        let path = folder.appending(path: "gnn-trainer").path
        try #require(FileManager.default.isExecutableFile(atPath: path), "\(path) is not built")
        return path
    }

    private static func topics(_ kafka: KafkaConnection) async throws -> (events: String, control: String) {
        let topics = (events: uniqueName("events"), control: uniqueName("control"))
        let admin = try KafkaAdmin(kafka)
        try await admin.createTopics([
            TopicSpecification(topics.events, partitions: 1),
            TopicSpecification(topics.control, partitions: 1),
        ])
        await admin.close()
        return topics
    }

    private static func start(
        _ stage: TrainerStage, _ kafka: KafkaConnection, _ topics: (events: String, control: String),
        attempt: Int
    ) async throws -> ChildProcess {
        let environment = [
            "QUEUE_ID": "wf-2symbols-gnn_train-20240801-abc123", "STEP": "train", "INSTANCE": "all",
            "ATTEMPT": String(attempt), "SYMBOL": "all", "TYPE": "gnn_train",
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrapServers, "QUEUE_EVENTS_TOPIC": topics.events,
            "QUEUE_CONTROL_TOPIC": topics.control, "CONTROL_PARTITION": "0", "PORT": "0",
            "POSTGRES_URL": stage.url, "OBJECT_STORE_DIR": stage.folder + "/objects",
            "WORK_DIR": stage.folder + "/work", "GRAPH_COLLECTION": TrainerStage.graph,
            "MODEL_NAME": "process", "EPOCHS": String(epochs), "GNN_PATIENCE": String(epochs),
            "GNN_LAYERS": "1", "GNN_HEADS": "2", "GNN_CHANNELS": "8", "GNN_ATTENTION_DROPOUT": "0.1",
            "GNN_CHECKPOINT_EVERY": "3", "TORCH_DEVICE": "cpu",
        ]
        return try await ChildProcess.start(
            ChildProcess.Command(
                try program(), ["gnn-trainer"], environment: environment, logFile: stage.folder + "/log",
                diesWithParent: true))
    }

    private static func log(_ stage: TrainerStage) -> String {
        (try? String(contentsOfFile: stage.folder + "/log", encoding: .utf8)) ?? ""
    }

    private static func published(_ stage: TrainerStage) throws -> [String: Data] {
        let files = try stage.files().filter { $0.key.contains("/files-") }
        return Dictionary(
            uniqueKeysWithValues: files.map { (String($0.key.split(separator: "/").last ?? ""), $0.value) })
    }

    private static func waitForCheckpoint(_ stage: TrainerStage, _ process: ChildProcess) async throws {
        let deadline = ContinuousClock.now + .seconds(200)
        while ContinuousClock.now < deadline {
            if try stage.files().keys.contains(where: { $0.hasSuffix("/gatv2.checkpoint") }) { return }
            try #require(process.exit == nil, "the trainer ended: \(log(stage))")
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("there was no checkpoint: \(log(stage))")
    }

    private static func finalEvents(_ kafka: KafkaConnection, _ topic: String) async throws -> [QueueEvent] {
        let admin = try KafkaAdmin(kafka)
        let end = try await admin.watermarks(of: TopicPartition(topic, 0)).high
        await admin.close()
        let consumer = try KafkaConsumer(kafka)
        try await consumer.assign([TopicPartition(topic, 0): .beginning])
        var found: [QueueEvent] = []
        var isAtEnd = false
        while !isAtEnd {
            let polled = try await consumer.poll(timeout: .seconds(5))
            for record in polled {
                found.append(try MessageCodec.decode(QueueEvent.self, from: record.value ?? []))
            }
            for case .endReached(_, let offset) in polled.events where offset >= end { isAtEnd = true }
        }
        await consumer.close()
        return found.filter(\.finished)
    }
}
