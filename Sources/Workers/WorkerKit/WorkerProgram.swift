import Logging
import Metrics
import ServiceEndpoints
import ServiceLifecycle
import ServiceRuntime
import Workflow

/// Runs a worker of any kind as a program: settings in, exit code out.
package enum WorkerProgram {
    /// What every kind reads.
    package static let commonSettings = [
        WorkerIdentity.settings, WorkerSettings.control, KafkaSettings.group, TopicSettings.group,
        ServiceSettings.group,
    ]

    package static func table(_ kind: WorkerKind) -> SettingsTable {
        SettingsTable(program: kind.name, groups: commonSettings + kind.settings)
    }

    /// The text of `--print-settings`.
    package static func printedSettings(
        _ kind: WorkerKind, environment: [String: String] = ProcessEnvironment.atStart()
    ) -> String {
        SettingsReader(environment: environment).report(table(kind))
    }

    /// Runs one attempt from its settings to its final event.
    ///
    /// SIGTERM and SIGINT stop it as a `stop` command does; after `SHUTDOWN_GRACE_SECONDS` what still runs is
    /// cancelled.
    package static func run(
        _ kind: WorkerKind, environment: [String: String] = ProcessEnvironment.atStart(),
        output: LogOutput = .standardError
    ) async -> ExitCode {
        WorkerProcess.prepare()
        let fallback = JSONLineLogHandler.logger(service: kind.name, level: .info, output: output)
        do throws(SettingsError) {
            let values = try settings(kind, environment, fallback)
            let logger = JSONLineLogHandler.logger(
                service: kind.name, level: values[ServiceSettings.logLevel], output: output)
            return await run(kind, values, logger)
        } catch {
            for problem in error.problems {
                fallback.error("Refused a setting", metadata: ["error": "\(problem)"])
            }
            return .badSetting
        }
    }

    private static func settings(
        _ kind: WorkerKind, _ environment: [String: String], _ logger: Logger
    ) throws(SettingsError) -> SettingValues {
        let reader = SettingsReader(environment: environment) { problem in
            logger.warning("Kept a setting whose file is not right", metadata: ["error": "\(problem)"])
        }
        let values = try reader.read(table(kind))
        try KafkaSettings.check(values)
        return values
    }

    private static func run(_ kind: WorkerKind, _ values: SettingValues, _ logger: Logger) async -> ExitCode {
        let metrics = PrometheusRegistry(helps: WorkerObserver.helps)
        let health = HealthState()
        let end = WorkerService.EndBox()
        do {
            let body = try kind.make(values)
            let parts = try WorkerParts(
                .init(values: values, kind: kind.name, logger: logger, metrics: metrics, health: health))
            let worker = WorkerService(parts: parts, body: body, end: end)
            let endpoints = QuietEndpoints(
                endpoints: ServiceEndpoints(values, health: health, metrics: metrics, logger: logger),
                health: health, onFailure: { parts.observe(.endpointsFailed($0)) })
            try await runServices(
                [endpoints, worker], grace: values[ServiceSettings.shutdownGrace], logger: logger.quiet)
        } catch let error as SettingsError {
            for problem in error.problems {
                logger.error("Refused a setting", metadata: ["error": "\(problem)"])
            }
            return .badSetting
        } catch {
            // Also thrown when the grace ran out; the end that was decided by then still counts.
            guard let ended = end.end else {
                logger.error("Could not run", metadata: ["error": "\(error)"])
                return .badSetting
            }
            return ended.exitCode
        }
        return end.end?.exitCode ?? .retriable
    }
}
