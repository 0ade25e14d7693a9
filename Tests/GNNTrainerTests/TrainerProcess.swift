import Foundation
import KafkaBridge
import ServiceRuntime
import TestSupport
import Testing
import Workflow

/// The program that trains and asks models, run as the launcher runs it.
enum TrainerProcess {
    struct Topics: Sendable {
        var events: String
        var control: String
    }

    static func program() throws -> String {
        let folder = try #require(Bundle.main.executableURL).deletingLastPathComponent()
        let path = folder.appending(path: "gnn-trainer").path
        try #require(FileManager.default.isExecutableFile(atPath: path), "\(path) is not built")
        return path
    }

    static func topics(_ kafka: KafkaConnection) async throws -> Topics {
        let topics = Topics(events: uniqueName("events"), control: uniqueName("control"))
        let admin = try KafkaAdmin(kafka)
        try await admin.createTopics([
            TopicSpecification(topics.events, partitions: 1),
            TopicSpecification(topics.control, partitions: 1),
        ])
        await admin.close()
        return topics
    }

    /// - Parameters:
    ///   - kind: the worker's; a trainer's variables do no harm to others.
    ///   - changes: variables besides, or set otherwise; they say where models go.
    static func start(
        _ stage: TrainerStage, _ kafka: KafkaConnection, _ topics: Topics, kind: String = "gnn-trainer",
        attempt: Int, _ changes: [String: String]
    ) async throws -> ChildProcess {
        var environment = [
            "QUEUE_ID": "wf-2symbols-gnn_train-20240801-abc123", "STEP": "train", "INSTANCE": "all",
            "ATTEMPT": String(attempt), "SYMBOL": "all", "TYPE": "gnn_train",
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrapServers, "QUEUE_EVENTS_TOPIC": topics.events,
            "QUEUE_CONTROL_TOPIC": topics.control, "CONTROL_PARTITION": "0", "PORT": "0",
            "POSTGRES_URL": stage.url,
            "WORK_DIR": stage.folder + "/work", "GRAPH_COLLECTION": TrainerStage.graph,
            "MODEL_NAME": "process",
            "GNN_LAYERS": "1", "GNN_HEADS": "2", "GNN_CHANNELS": "8", "GNN_ATTENTION_DROPOUT": "0.1",
            "GNN_CHECKPOINT_EVERY": "3", "TORCH_DEVICE": "cpu",
        ]
        environment.merge(changes) { _, new in new }
        return try await ChildProcess.start(
            ChildProcess.Command(
                try program(), [kind], environment: environment, logFile: stage.folder + "/log",
                diesWithParent: true))
    }

    static func finalEvents(_ kafka: KafkaConnection, _ topic: String) async throws -> [QueueEvent] {
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
