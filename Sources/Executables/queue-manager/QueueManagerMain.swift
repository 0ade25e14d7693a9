import ArgumentParser
import ExchangeBudget
import Glibc
import HTTPBridge
import JobLaunchers
import KafkaBridge
import Logging
import PostgresBridge
import QueueManager
import ServiceLifecycle
import ServiceRuntime
import Workflow

/// Turns workflow requests into running workers. Configured by environment variables only.
@main
struct QueueManagerMain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue-manager", abstract: "The StreamForge engine: REST API, reconciler, event reader.",
        discussion: "All settings are environment variables; --print-settings lists them.")

    @Flag(help: "Print every setting with its value (secrets hidden) and leave.")
    var printSettings = false

    func run() async throws {
        let environment = currentEnvironment()
        let reader = SettingsReader(environment: environment)
        if printSettings {
            writeLine(reader.report(QueueManagerSettings.table), to: .standardOutput)
            return
        }
        let values: SettingValues
        do {
            values = try reader.read(QueueManagerSettings.table)
            try KafkaSettings.check(values)
        } catch {
            for problem in error.problems { writeLine("queue-manager: \(problem)", to: .standardError) }
            ExitCode.badSetting.exitProcess()
        }
        let logger = JSONLineLogHandler.logger(
            service: "queue-manager", level: values[ServiceSettings.logLevel], output: .standardError)
        do {
            try await serve(values, environment, logger)
        } catch {
            logger.critical("Failed to run", metadata: ["error": "\(error)"])
            ExitCode.retriable.exitProcess()
        }
    }

    private func serve(
        _ values: SettingValues, _ environment: [String: String], _ logger: Logger
    ) async throws {
        let pool = PostgresPool(try databaseConfiguration(values))
        let http = HTTPClient(.init(caFile: values[ExchangeSettings.certificateAuthorityPath]))
        let parts = QueueManagerService.Parts(
            pool: pool, kafka: KafkaConnection(values, clientID: "queue-manager"),
            topics: EngineTopics(
                control: values[TopicSettings.control], events: values[TopicSettings.events],
                partitions: values[QueueManagerSettings.topicPartitions],
                replication: values[QueueManagerSettings.topicReplication]),
            launcher: try launcher(values, environment),
            environment: JobEnvironment(
                controlTopic: values[TopicSettings.control], eventsTopic: values[TopicSettings.events]),
            catalog: ExchangeSymbols(client: http, baseURL: values[ExchangeSettings.url]).catalog.stayingAway(
                BudgetStore(pool), egress: values[ExchangeSettings.egress],
                exchange: BudgetStore.Key.exchange(of: values[ExchangeSettings.url])),
            policy: EnginePolicy(
                lease: values[WorkerSettings.lease], startLimit: values[QueueManagerSettings.startLimit],
                stopGrace: values[QueueManagerSettings.stopGrace],
                topicKeep: values[QueueManagerSettings.topicKeep]),
            exchangeCost: ExchangeCost(
                pageRows: values[ExchangeSettings.pageRowsMax],
                pageWeight: values[ExchangeSettings.klinesWeight],
                weightPerMinute: values[ExchangeSettings.weightMax]),
            replica: values[QueueManagerSettings.replica] ?? Self.randomReplica(),
            host: values[ServiceSettings.host], port: values[ServiceSettings.port], logger: logger,
            metrics: PrometheusRegistry(helps: KafkaTelemetry.helps), health: HealthState(),
            crashPoints: try CrashPoints(
                directory: values[ServiceSettings.crashPointsDirectory], label: "queue-manager"),
            newTraceparent: {
                var random = SystemRandomNumberGenerator()
                return Traceparent.new(using: &random).description
            }, clock: { UTCTimestamp.now().seconds })
        let services = try await QueueManagerService(parts).prepare { port in
            // For whoever started us with port 0: one line on standard output.
            writeLine("listening on \(values[ServiceSettings.host]):\(port)", to: .standardOutput)
        }
        try await runServices(services, grace: values[ServiceSettings.shutdownGrace], logger: logger)
        await pool.close()
    }

    private func databaseConfiguration(_ values: SettingValues) throws -> PostgresConfiguration {
        let url = try PostgresURL(values[PostgresSettings.url])
        let watched = values.watched(PostgresSettings.url)
        return PostgresConfiguration(
            currentURL: url.following { watched.current() }, applicationName: "queue-manager",
            connectionsMax: values[QueueManagerSettings.databaseConnectionsMax])
    }

    private func launcher(
        _ values: SettingValues, _ environment: [String: String]
    ) throws -> LocalProcessLauncher {
        let path = values[QueueManagerSettings.workerPath] ?? ownDirectory() + "/streamforge-worker"
        guard access(path, X_OK) == 0 else {
            throw LaunchSetupError(description: "WORKER_PATH: there is no program \(path)")
        }
        let logs = values[QueueManagerSettings.workerLogDirectory]
        guard mkdir(logs, 0o700) == 0 || errno == EEXIST else {
            throw LaunchSetupError(description: "WORKER_LOG_DIR: cannot create \(logs)")
        }
        var common = QueueManagerSettings.workerEnvironment(from: environment)
        common["PORT"] = String(values[QueueManagerSettings.workerHTTPPort])
        return LocalProcessLauncher(
            .init(workerPath: path, logDirectory: logs, host: hostName(), environment: common))
    }

    /// Random, so that a restart never takes its former self's claims for its own.
    private static func randomReplica() -> String {
        "\(hostName())/\(getpid())/\(UInt32.random(in: .min ... .max))"
    }
}

struct LaunchSetupError: Error, CustomStringConvertible {
    var description: String
}

private func hostName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    gethostname(&buffer, buffer.count - 1)
    return buffer.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

/// The folder this program lies in.
private func ownDirectory() -> String {
    var buffer = [CChar](repeating: 0, count: 4_096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    let path = buffer.withUnsafeBytes { String(decoding: $0.prefix(max(length, 0)), as: UTF8.self) }
    return path.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
}

private func currentEnvironment() -> [String: String] {
    ProcessTable.environment(of: getpid()) ?? [:]
}

private func writeLine(_ text: String, to output: LogOutput) {
    output.write(Array((text + "\n").utf8))
}
