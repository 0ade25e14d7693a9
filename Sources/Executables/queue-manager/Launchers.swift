import Glibc
import JobLaunchers
import KafkaBridge
import Logging
import PostgresBridge
import QueueManager
import ServiceLifecycle
import ServiceRuntime
import Workflow

/// What launchers are made from.
struct LauncherParts: Sendable {
    var values: SettingValues
    var environment: [String: String]
    var logger: Logger
    var metrics: PrometheusRegistry
    var pool: PostgresPool
}

/// The launchers that the settings ask for, behind one port.
struct Launchers {
    let route: any JobLauncher
    /// Where attempts' logs are found after their jobs are gone.
    let logs: any LogStore
    /// What has to run beside the engine; ended after it.
    let services: [any Service]
    private let pool: PoolLauncher?
    private let cluster: ClusterLauncher?

    /// - Throws: ``LaunchSetupError``; ``KafkaError`` when the pools' topics cannot be made.
    init(_ parts: LauncherParts) async throws {
        let values = parts.values
        let others: any JobLauncher
        switch values[KubernetesSettings.launcher] {
        case .local:
            others = try Self.processes(values, parts.environment)
            cluster = nil
            // Local workers write there themselves.
            logs = FolderLogStore(directory: values[QueueManagerSettings.workerLogDirectory])
            services = []
        case .kubernetes:
            let cluster = try await ClusterLauncher(parts)
            others = cluster.launcher
            self.cluster = cluster
            logs = cluster.logs
            services = cluster.services
        }
        let targets = values[QueueManagerSettings.poolTargets] ?? []
        guard !targets.isEmpty else {
            pool = nil
            route = RoutingLauncher([:], others: others)
            return
        }
        let pool = try await Self.pool(of: targets, parts)
        self.pool = pool
        route = RoutingLauncher(
            Dictionary(uniqueKeysWithValues: targets.map { ($0, pool) }), others: others)
    }

    private static func pool(of targets: Set<Target>, _ parts: LauncherParts) async throws -> PoolLauncher {
        // Pool workers have their own connections and secrets; what must be alike on both sides is offered.
        let lease = WorkerSettings.lease.name
        let shared = [lease: parts.environment[lease]].compactMapValues(\.self)
        var configuration = PoolLauncher.Configuration(targets: targets, environment: shared)
        configuration.partitions = parts.values[QueueManagerSettings.poolPartitions]
        configuration.replication = parts.values[QueueManagerSettings.topicReplication]
        return try await PoolLauncher(
            KafkaConnection(parts.values, clientID: "queue-manager-pool"), configuration,
            observe: { [logger = parts.logger] observation in
                if case .clientFailed(let error) = observation {
                    logger.warning("Kafka client failed", metadata: ["error": "\(error)"])
                }
            })
    }

    func close() async {
        await pool?.close()
        await cluster?.launcher.close()
    }

    private static func processes(
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
        let limits = ProcessLimits(
            addressSpaceBytes: values[QueueManagerSettings.workerMemory].map { $0 << 20 },
            openFiles: values[QueueManagerSettings.workerOpenFiles],
            fileBytes: values[QueueManagerSettings.workerLogSize] << 20)
        if let problem = limits.problem {
            throw LaunchSetupError(
                description: "the limits of local workers (WORKER_…_MAX…) cannot be set: \(problem)")
        }
        var common = QueueManagerSettings.workerEnvironment(from: environment)
        common["PORT"] = String(values[QueueManagerSettings.workerHTTPPort])
        return LocalProcessLauncher(
            .init(
                workerPath: path, logDirectory: logs, host: hostName(), environment: common, limits: limits))
    }
}

struct LaunchSetupError: Error, CustomStringConvertible {
    var description: String
}

func hostName() -> String {
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
