import ArgumentParser
import DocumentStores
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
        let metrics = PrometheusRegistry(helps: KafkaTelemetry.helps)
        let launchers = try await Launchers(
            LauncherParts(
                values: values, environment: environment, logger: logger, metrics: metrics, pool: pool))
        var parts = QueueManagerService.Parts(
            pool: pool, kafka: KafkaConnection(values, clientID: "queue-manager"),
            topics: EngineTopics(
                control: values[TopicSettings.control], events: values[TopicSettings.events],
                partitions: values[QueueManagerSettings.topicPartitions],
                replication: values[QueueManagerSettings.topicReplication]),
            launcher: launchers.route,
            environment: JobEnvironment(
                controlTopic: values[TopicSettings.control], eventsTopic: values[TopicSettings.events],
                shared: QueueManagerSettings.shared(values)),
            catalog: ExchangeSymbols(client: http, baseURL: values[ExchangeSettings.url]).catalog.stayingAway(
                BudgetStore(pool), egress: values[ExchangeSettings.egress],
                exchange: BudgetStore.Key.exchange(of: values[ExchangeSettings.url])),
            policy: QueueManagerSettings.policy(values),
            exchangeCost: ExchangeCost(
                pageRows: values[ExchangeSettings.pageRowsMax],
                candlesWeight: values[ExchangeSettings.klinesWeight],
                aggregateTradesWeight: values[ExchangeSettings.aggregateTradesWeight],
                rawTradesWeight: values[ExchangeSettings.historicalTradesWeight],
                weightPerMinute: values[ExchangeSettings.weightMax]),
            upkeep: try upkeep(values),
            replica: values[QueueManagerSettings.replica] ?? Self.randomReplica(),
            host: values[ServiceSettings.host], port: values[ServiceSettings.port], logger: logger,
            metrics: metrics, health: HealthState(),
            crashPoints: try CrashPoints(
                directory: values[ServiceSettings.crashPointsDirectory], label: "queue-manager"),
            newTraceparent: {
                var random = SystemRandomNumberGenerator()
                return Traceparent.new(using: &random).description
            }, clock: { UTCTimestamp.now().seconds })
        parts.logs = launchers.logs
        parts.modelFiles = ModelFiles(values)
        let services = try await QueueManagerService(parts).prepare { port in
            // For whoever started us with port 0: one line on standard output.
            writeLine("listening on \(values[ServiceSettings.host]):\(port)", to: .standardOutput)
        }
        try await runServices(
            launchers.services + services, grace: values[ServiceSettings.shutdownGrace], logger: logger)
        await launchers.close()
        await pool.close()
    }

    private func upkeep(_ values: SettingValues) throws -> Upkeep.Parts {
        let choice = try StoreChoice(values)
        var parts = Upkeep.Parts(
            documents: DeferredDocumentStore { () async throws(StoreError) in try await choice.open() },
            retention: RetentionPolicy(
                historyKeepDays: values[UpkeepSettings.historyKeepDays],
                queuesKeepDays: values[UpkeepSettings.queuesKeepDays],
                archiveDirectory: values[UpkeepSettings.archiveDirectory]),
            projection: values[UpkeepSettings.queuesCollection])
        parts.shared = QueueManagerSettings.shared(values)
        return parts
    }

    private func databaseConfiguration(_ values: SettingValues) throws -> PostgresConfiguration {
        let url = try PostgresURL(values[PostgresSettings.url])
        let watched = values.watched(PostgresSettings.url)
        var configuration = PostgresConfiguration(
            currentURL: url.following { watched.current() }, applicationName: "queue-manager",
            connectionsMax: values[QueueManagerSettings.databaseConnectionsMax])
        configuration.sessionSettings = EngineStore.sessionSettings
        return configuration
    }

    /// Random, so that a restart never takes its former self's claims for its own.
    private static func randomReplica() -> String {
        "\(hostName())/\(getpid())/\(UInt32.random(in: .min ... .max))"
    }
}

private func currentEnvironment() -> [String: String] {
    ProcessTable.environment(of: getpid()) ?? [:]
}

private func writeLine(_ text: String, to output: LogOutput) {
    output.write(Array((text + "\n").utf8))
}
