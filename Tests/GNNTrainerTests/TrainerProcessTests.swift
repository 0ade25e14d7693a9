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
                let events = try await TrainerProcess.topics(kafka)
                let calm = try await Self.start(stage, kafka, events, 1)
                #expect(await calm.waitForExit(timeout: .seconds(300)) == .code(0), "\(Self.log(stage))")
                let expected = try Self.published(stage)
                #expect(expected.count == 7)
                try FileManager.default.removeItem(atPath: stage.folder + "/objects/models")

                let killed = try await Self.start(stage, kafka, events, 2)
                try await Self.waitForCheckpoint(stage, killed)
                killed.identity.signalGroup(SIGKILL)
                #expect(await killed.waitForExit(timeout: .seconds(30)) == .signal(SIGKILL))
                #expect(try Self.published(stage).isEmpty)
                let next = try await Self.start(stage, kafka, events, 3)
                #expect(await next.waitForExit(timeout: .seconds(300)) == .code(0), "\(Self.log(stage))")
                #expect(try Self.published(stage) == expected)
                #expect(Self.log(stage).contains("Went on from a checkpoint"))

                let ends = try await TrainerProcess.finalEvents(kafka, events.events)
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
                try TrainerProcess.program(), ["gnn-trainer"],
                environment: ["EPOCHS": "many", "MODEL_NAME": "1x"], logFile: log, diesWithParent: true))
        #expect(await process.waitForExit(timeout: .seconds(60)) == .code(10))
        let text = try String(contentsOfFile: log, encoding: .utf8)
        #expect(text.contains("EPOCHS") && text.contains("MODEL_NAME"))
    }

    // MARK: Parts

    private static func start(
        _ stage: TrainerStage, _ kafka: KafkaConnection, _ topics: TrainerProcess.Topics, _ attempt: Int
    ) async throws -> ChildProcess {
        try await TrainerProcess.start(
            stage, kafka, topics, attempt: attempt,
            [
                "OBJECT_STORE_DIR": stage.folder + "/objects", "EPOCHS": String(epochs),
                "GNN_PATIENCE": String(epochs),
            ])
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

}
