import ArangoConnector
import ArgumentParser
import DummyService
import LoaderAPICandles
import LoaderAPITrades
import ServiceRuntime
import WorkerKit

/// Runs one attempt of one instance; everything it needs to know comes from the environment.
@main
struct StreamforgeWorker: AsyncParsableCommand {
    static let kinds = [CandleLoader.kind, TradeLoader.kind, ConnectorWorker.kind, DummyWorker.kind]

    static let configuration = CommandConfiguration(
        commandName: "streamforge-worker",
        abstract: "Runs one attempt of a workflow's step.",
        discussion: """
            Kinds:
            \(kinds.map { "  \($0.name): \($0.summary)" }.joined(separator: "\n"))
              \(PoolProgram.name): \(PoolProgram.summary)
              \(SharedConnectorProgram.name): \(SharedConnectorProgram.summary)

            Settings come from the environment; --print-settings shows them. Exit codes: 0 finished, \
            3 interrupted, 4 superseded, 10 bad setting, 20 another attempt may succeed, 21 it will not.
            """)

    @Argument(help: "What kind of worker to be.")
    var kind: String

    @Flag(help: "Print every setting with its value and where it comes from, and end.")
    var printSettings = false

    @Flag(help: "Log everything, as LOG_LEVEL=debug does.")
    var debug = false

    @OptionGroup(title: "Options of dummy-service") var dummy: DummyFlags

    func validate() throws {
        guard kind == DummyWorker.kind.name || dummy.variables.isEmpty else {
            throw ValidationError("only dummy-service takes \(dummy.shown)")
        }
    }

    func run() async throws {
        var environment = ProcessEnvironment.atStart()
        if debug { environment[ServiceSettings.logLevel.name] = "debug" }
        environment.merge(dummy.variables) { _, flag in flag }
        if kind == PoolProgram.name {
            if printSettings { return print(PoolProgram.printedSettings(environment: environment)) }
            await PoolProgram.run(Self.kinds, environment: environment).exitProcess()
        }
        if kind == SharedConnectorProgram.name {
            if printSettings {
                return print(SharedConnectorProgram.printedSettings(environment: environment))
            }
            await SharedConnectorProgram.run(environment: environment).exitProcess()
        }
        guard let kind = Self.kinds.first(where: { $0.name == kind }) else {
            let known = (Self.kinds.map(\.name) + [PoolProgram.name, SharedConnectorProgram.name]).joined(
                separator: ", ")
            let line = "There is no worker kind \(kind.debugDescription). Known: \(known)\n"
            LogOutput.standardError.write(Array(line.utf8))
            ExitCode.badSetting.exitProcess()
        }
        if printSettings {
            print(WorkerProgram.printedSettings(kind, environment: environment))
            return
        }
        await WorkerProgram.run(kind, environment: environment).exitProcess()
    }
}
