import ArgumentParser
import GraphBuilder
import ServiceRuntime
import WorkerKit

/// Runs one attempt of a step that builds a graph; everything it needs to know comes from the environment.
///
/// A program of its own, so that the other workers do without OpenBLAS.
@main
struct StreamforgeGraph: AsyncParsableCommand {
    static let kind = GraphBuilderWorker.kind

    static let configuration = CommandConfiguration(
        commandName: "streamforge-graph", abstract: "Runs one attempt of a step that builds a graph.",
        discussion: """
            Settings come from the environment; --print-settings shows them. Exit codes: 0 finished, \
            3 interrupted, 4 superseded, 10 bad setting, 20 another attempt may succeed, 21 it will not.
            """)

    @Argument(help: "What kind of worker to be: \(kind.name).")
    var kind = Self.kind.name

    @Flag(help: "Print every setting with its value and where it comes from, and end.")
    var printSettings = false

    func validate() throws {
        guard kind == Self.kind.name else { throw ValidationError("the only kind is \(Self.kind.name)") }
    }

    func run() async throws {
        if printSettings {
            print(WorkerProgram.printedSettings(Self.kind))
            return
        }
        await WorkerProgram.run(Self.kind).exitProcess()
    }
}
