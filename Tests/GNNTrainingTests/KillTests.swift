import Foundation
import GNNTraining
import GraphLearning
import ServiceRuntime
import TestSupport
import Testing

/// Trainers as processes of their own (`training-probe`).
@Suite(.timeLimit(.minutes(5)))
struct KillTests {
    private static let epochs = 12

    /// Beside the tests' own program, wherever that was built.
    private static var probe: String {
        let environment = ProcessInfo.processInfo.environment
        if let folder = environment["STREAMFORGE_TEST_BIN"] { return "\(folder)/training-probe" }
        return Bundle.main.bundleURL.deletingLastPathComponent().appending(path: "training-probe").path
    }

    private static func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "killed-\(UUID().uuidString)")
            .path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    /// - Parameter epochsToDeath: after how many epochs it ends itself by SIGKILL.
    private static func run(_ folder: String, epochsToDeath: Int = 1_000) async throws -> ChildProcess.Exit? {
        let process = try await ChildProcess.start(
            ChildProcess.Command(
                probe, [folder, "\(epochs)", "\(epochsToDeath)"], environment: [:], logFile: folder + "/log",
                diesWithParent: true))
        return await process.waitForExit(timeout: .seconds(120))
    }

    private static func files(_ folder: String) throws -> [String: Data] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/model")
        return try Dictionary(
            uniqueKeysWithValues: names.map {
                ($0, try Data(contentsOf: URL(filePath: "\(folder)/model/\($0)")))
            })
    }

    @Test func `a trainer killed again and again ends with the bytes of an uninterrupted run`() async throws {
        try await Self.withFolder { calm in
            #expect(try await Self.run(calm) == .code(0))
            let expected = try Self.files(calm)
            #expect(expected.count == 7)
            try await Self.withFolder { folder in
                // Checkpoints are made every second epoch. In the first network: after epoch 3, which is then
                // done again, and after 10; in the second one after 2 and after 7.
                for epochs in [3, 8, 4, 5] {
                    #expect(try await Self.run(folder, epochsToDeath: epochs) == .signal(SIGKILL))
                    #expect(!FileManager.default.fileExists(atPath: folder + "/model"))
                }
                #expect(try await Self.run(folder) == .code(0))
                #expect(try Self.files(folder) == expected)
                let log = try String(contentsOfFile: folder + "/log", encoding: .utf8)
                #expect(
                    log.contains("resumed(fit: \"gatv2\", epochsDone: 12)"),
                    "the first one was not done again")
                #expect(!log.contains("checkpointUnusable"))
            }
        }
    }

    @Test(.enabled(if: ReferencePython.isWanted, "\(ReferencePython.skipReason)"))
    func `the example in Python loads the weights and repeats the predictions`() async throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let script = root.appending(path: "examples/predict.py").path
        for change in Self.changes {
            try await Self.withFolder { folder in
                var plan = TrainingTests.plan(epochs: 2)
                change(&plan)
                // Some values are unknown, and some edges lead to themselves.
                var snapshots = try SyntheticMarket().series().snapshots
                for place in snapshots.indices {
                    snapshots[place].features[3] = .nan
                    snapshots[place].edges.sources[0] = snapshots[place].edges.targets[0]
                }
                let columns = try SyntheticMarket().series().columns
                let artifacts = try ModelTrainer(
                    try SnapshotSeries(columns: columns, snapshots), plan, checkpoints: nil
                ).run()
                try artifacts.write(to: folder + "/model")
                let printed = try await ReferencePython.run(
                    script, arguments: [folder + "/model"], usesTorch: true)
                #expect(printed.contains("12 symbols, largest difference"), "\(printed)")
            }
        }
    }

    private static let changes: [@Sendable (inout TrainingPlan) -> Void] = [
        { _ in },
        { plan in
            plan.task = LearningTask(.logReturn, horizon: SyntheticMarket.step)
            plan.norm = .graph
            plan.activation = .relu
            plan.layers = [.init(heads: 2, channels: 4), .init(heads: 3, channels: 8, join: .mean)]
        },
        { plan in
            plan.norm = .none
            plan.isResidual = false
        },
    ]
}
