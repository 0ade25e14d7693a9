import Glibc
import KafkaBridge
import Logging
import ServiceEndpoints
import ServiceRuntime
import Workflow

/// Runs a pool worker as a program: `streamforge-worker pool`.
package enum PoolProgram {
    package static let name = "pool"
    package static let summary = "Stays, and runs many instances of the kinds that may share a process."

    /// What the pool itself reads; its kinds read their own settings beside.
    package static let table = SettingsTable(
        program: "streamforge-worker pool",
        groups: [
            PoolSettings.group, SettingsGroup("Lease", [WorkerSettings.lease]), KafkaSettings.group,
            TopicSettings.group, ServiceSettings.group,
        ])

    package static func printedSettings(
        environment: [String: String] = ProcessEnvironment.atStart()
    ) -> String {
        SettingsReader(environment: environment).report(table)
    }

    /// Runs until SIGTERM or SIGINT; what runs then is ended as `interrupted`.
    ///
    /// - Parameter kinds: those this program has.
    package static func run(
        _ kinds: [WorkerKind], environment: [String: String] = ProcessEnvironment.atStart(),
        output: LogOutput = .standardError
    ) async -> ExitCode {
        WorkerProcess.prepare()
        var logger = JSONLineLogHandler.logger(service: name, level: .info, output: output)
        do {
            let values = try SettingsReader(environment: environment).read(table)
            try KafkaSettings.check(values)
            logger = JSONLineLogHandler.logger(
                service: name, level: values[ServiceSettings.logLevel], output: output)
            let chosen = try choose(kinds, values)
            return try await serve(chosen, values, environment, logger)
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

    /// The kinds whose offers are taken.
    static func choose(
        _ kinds: [WorkerKind], _ values: SettingValues
    ) throws(SettingsError) -> [Target: WorkerKind] {
        let pairs = kinds.filter(\.mayRunPooled).compactMap { kind in
            Target(rawValue: kind.name).map { ($0, kind) }
        }
        let able = Dictionary(pairs, uniquingKeysWith: { first, _ in first })
        guard let names = values[PoolSettings.targets] else { return able }
        var chosen: [Target: WorkerKind] = [:]
        for name in names {
            guard let target = Target(name: name), let kind = able[target] else {
                let known = able.keys.map(\.rawValue).sorted().joined(separator: ", ")
                throw SettingsError(problems: [
                    SettingProblem(PoolSettings.targets, reason: "\(name) cannot run pooled; can: \(known)")
                ])
            }
            chosen[target] = kind
        }
        return chosen
    }

    private static func serve(
        _ kinds: [Target: WorkerKind], _ values: SettingValues, _ environment: [String: String],
        _ logger: Logger
    ) async throws -> ExitCode {
        let metrics = PrometheusRegistry(helps: PoolObserver.helps)
        let health = HealthState()
        let observe = PoolObserver(logger: logger, metrics: metrics, slotsMax: values[PoolSettings.slots])
        let service = try service(kinds, values, environment, metrics, health, observe)
        let endpoints = QuietEndpoints(
            endpoints: ServiceEndpoints(values, health: health, metrics: metrics, logger: logger),
            health: health,
            onFailure: { detail in
                logger.error("Could not serve health and metrics", metadata: ["error": "\(detail)"])
            })
        try await runServices(
            [endpoints, service], grace: values[ServiceSettings.shutdownGrace], logger: logger.quiet)
        return service.isFenced.isSet ? .superseded : .finished
    }

    private static func eventProducer(lease: Duration) -> KafkaProducerConfiguration {
        var producing = WorkerParts.eventProducer(lease: lease)
        producing.queuedRecordsMax = 20_000
        producing.queuedBytesMax = 16 << 20
        return producing
    }

    private static func service(
        _ kinds: [Target: WorkerKind], _ values: SettingValues, _ environment: [String: String],
        _ metrics: PrometheusRegistry, _ health: HealthState, _ observe: PoolObserver
    ) throws -> PoolService {
        let password = values.watched(KafkaSettings.password)
        let name = values[PoolSettings.workerID]
        let connection: @Sendable () -> KafkaConnection = {
            KafkaConnection(
                values, clientID: name.map { "pool/\($0)" } ?? "pool", password: password.current())
        }
        let kafka: KafkaObserver = { observe(.kafka($0)) }
        let lease = values[WorkerSettings.lease]
        let producing = eventProducer(lease: lease)
        let slots = PoolSlots(values[PoolSettings.slots])
        let runner = PoolRunner(
            kinds: kinds.mapValues { PoolRunner.Kind($0, environment: environment) },
            control: try PoolControl(connection, topic: values[TopicSettings.control], observe: observe),
            producer: try RenewingProducer { () throws(KafkaError) in
                try KafkaProducer(connection(), producing, observe: kafka)
            }, slots: slots,
            live: LiveRuns(),
            eventsTopic: values[TopicSettings.events], lease: lease, metrics: metrics,
            crashPoints: try CrashPoints(
                directory: values[ServiceSettings.crashPointsDirectory], label: "pool"),
            observe: observe, workerID: "\(ProcessEnvironment.hostName())/\(getpid())")
        return PoolService(
            topics: kinds.keys.map { DerivedName.poolTopic($0) }.sorted(),
            makeConsumer: { topic throws(KafkaError) in
                let group = DerivedName.poolGroup(topic: topic)
                return try KafkaConsumer(
                    connection(), consumerConfiguration(group, memberName: name), observe: kafka)
            }, runner: runner, health: health)
    }

    private static func consumerConfiguration(
        _ group: String, memberName: String?
    ) -> KafkaConsumerConfiguration {
        var configuration = KafkaConsumerConfiguration(group: group)
        configuration.groupInstanceID = memberName
        // Also where the broker has lost what was read; see ``OfferTaker``.
        configuration.offsetReset = .latest
        // A worker that died gives its offers to others after this.
        configuration.sessionTimeout = .seconds(10)
        configuration.idleRestMax = .milliseconds(3)
        configuration.prefetchBytesMax = 2 << 20
        return configuration
    }
}
