import DocumentStores
import Glibc
import KafkaBridge
import Logging
import ServiceEndpoints
import ServiceRuntime
import WorkerKit
import Workflow

/// Runs a connector of shared topics as a program: `streamforge-worker connector`.
package enum SharedConnectorProgram {
    package static let name = "connector"
    package static let summary = "Stays, and stores the records of shared topics in ArangoDB or PostgreSQL."

    package static var table: SettingsTable { SharedSettings.table }

    package static func printedSettings(
        environment: [String: String] = ProcessEnvironment.atStart()
    ) -> String {
        SettingsReader(environment: environment).report(table)
    }

    /// Runs until SIGTERM or SIGINT; what is in hand then is stored and committed.
    package static func run(
        environment: [String: String] = ProcessEnvironment.atStart(), output: LogOutput = .standardError
    ) async -> ExitCode {
        WorkerProcess.prepare()
        MemoryPolicy.returnLargeBlocks()
        var logger = JSONLineLogHandler.logger(service: name, level: .info, output: output)
        do {
            let values = try SettingsReader(environment: environment).read(table)
            try KafkaSettings.check(values)
            logger = JSONLineLogHandler.logger(
                service: name, level: values[ServiceSettings.logLevel], output: output)
            return try await serve(values, logger)
        } catch let error as SettingsError {
            for problem in error.problems {
                logger.error("Refused a setting", metadata: ["error": "\(problem)"])
            }
            return .badSetting
        } catch {
            logger.error("Could not run", metadata: ["error": "\(error)"])
            return .retriable
        }
    }

    private static func serve(_ values: SettingValues, _ logger: Logger) async throws -> ExitCode {
        let metrics = PrometheusRegistry(helps: SharedObserver.helps)
        let health = HealthState()
        let observer = SharedObserver(logger: logger, metrics: metrics)
        let service = try service(values, health) { observation in
            // A store that is away makes the connector not ready; its next answer makes it ready again.
            if case .connector(let word) = observation {
                switch word {
                case .storeRetried(let error, _): health.setReady("store", problem: error.code.rawValue)
                case .batchStored, .confirmed: health.setReady("store")
                default: break
                }
            }
            observer(observation)
        }
        let endpoints = QuietEndpoints(
            endpoints: ServiceEndpoints(values, health: health, metrics: metrics, logger: logger),
            health: health,
            onFailure: { detail in
                logger.error("Could not serve health and metrics", metadata: ["error": "\(detail)"])
            })
        try await runServices(
            [endpoints, service], grace: values[ServiceSettings.shutdownGrace], logger: logger.quiet)
        return .finished
    }

    private static func service(
        _ values: SettingValues, _ health: HealthState,
        _ observe: @escaping @Sendable (SharedObservation) -> Void
    ) throws -> SharedConnectorService {
        let password = values.watched(KafkaSettings.password)
        let member = values[SharedSettings.memberName]
        let connection: @Sendable () -> KafkaConnection = {
            KafkaConnection(
                values, clientID: member.map { "\(name)/\($0)" } ?? name, password: password.current())
        }
        let kafka: KafkaObserver = { observe(.kafka($0)) }
        let choice = try StoreChoice(values)
        let limits = SharedSettings.limits(values)
        let crashPoints = try CrashPoints(
            directory: values[ServiceSettings.crashPointsDirectory], label: name)
        let eventsTopic = values[TopicSettings.events]
        let consuming = consumerConfiguration(values, member: member)
        return SharedConnectorService(
            topics: [values[SharedTopicSettings.candles], values[SharedTopicSettings.trades]],
            openStore: { () async throws(StoreError) in
                try await choice.open(connectionsMax: limits.writesMax)
            },
            makeConsumer: { () throws(KafkaError) in
                try KafkaConsumer(connection(), consuming, observe: kafka)
            },
            control: try ConnectorControl(
                connection(), topic: values[TopicSettings.control], observe: observe),
            producer: try RenewingProducer { () throws(KafkaError) in
                try KafkaProducer(connection(), observe: kafka)
            }, health: health,
            makeParts: { store, producer in
                SharedParts(
                    store: store, producer: producer, eventsTopic: eventsTopic,
                    member: "\(ProcessEnvironment.hostName())/\(getpid())", limits: limits,
                    crashPoints: crashPoints, observe: observe)
            }, observe: observe)
    }

    private static func consumerConfiguration(
        _ values: SettingValues, member: String?
    ) -> KafkaConsumerConfiguration {
        var configuration = KafkaConsumerConfiguration(group: DerivedName.connectorGroup)
        configuration.groupInstanceID = member
        configuration.strategy =
            values[SharedSettings.assignment]
            ?? (KafkaLibrary.movesPartitionsSafely ? .cooperativeSticky : .range)
        configuration.isolation = .readCommitted
        configuration.offsetReset = .earliest
        // A connector that died gives its partitions to others after this.
        configuration.sessionTimeout = .seconds(10)
        configuration.prefetchBytesMax = 8 << 20
        configuration.statisticsInterval = KafkaTelemetry.statisticsInterval
        return configuration
    }
}
