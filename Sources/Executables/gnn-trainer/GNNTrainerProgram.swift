import ArgumentParser
import GNNTrainer
import ServiceRuntime
import WorkerKit

/// Runs one attempt of a step that trains or asks a model; everything it needs to know comes from the environment.
///
/// A program of its own, so that the other workers do without libtorch.
@main
struct GNNTrainerProgram: AsyncParsableCommand {
    static let kinds = [GNNTrainerWorker.kind, GNNInferWorker.kind]

    static let configuration = CommandConfiguration(
        commandName: "gnn-trainer", abstract: "Runs one attempt of a step that trains or asks a model.",
        discussion: """
            Settings come from the environment; --print-settings shows them. Exit codes: 0 finished, \
            3 interrupted, 4 superseded, 10 bad setting, 20 another attempt may succeed, 21 it will not.
            """)

    @Argument(help: "What kind of worker to be: \(kinds.map(\.name).joined(separator: ", ")).")
    var kind = Self.kinds[0].name

    @Flag(help: "Print every setting with its value and where it comes from, and end.")
    var printSettings = false

    func run() async throws {
        guard let kind = Self.kinds.first(where: { $0.name == kind }) else {
            throw ValidationError("kinds are \(Self.kinds.map(\.name).joined(separator: ", "))")
        }
        if printSettings {
            print(WorkerProgram.printedSettings(kind))
            return
        }
        await WorkerProgram.run(kind).exitProcess()
    }
}
