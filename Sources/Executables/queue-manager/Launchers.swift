import Glibc
import JobLaunchers
import KafkaBridge
import Logging
import QueueManager
import ServiceRuntime
import Workflow

/// The launchers that the settings ask for, behind one port.
struct Launchers {
    let route: any JobLauncher
    private let pool: PoolLauncher?

    /// - Throws: ``LaunchSetupError``; ``KafkaError`` when the pools' topics cannot be made.
    init(_ values: SettingValues, _ environment: [String: String], _ logger: Logger) async throws {
        let processes = try Self.processes(values, environment)
        let targets = values[QueueManagerSettings.poolTargets] ?? []
        guard !targets.isEmpty else {
            pool = nil
            route = RoutingLauncher([:], others: processes)
            return
        }
        // Pool workers have their own connections and secrets; what must be alike on both sides is offered.
        let shared = [WorkerSettings.lease.name: environment[WorkerSettings.lease.name]].compactMapValues(
            \.self)
        var configuration = PoolLauncher.Configuration(targets: targets, environment: shared)
        configuration.partitions = values[QueueManagerSettings.poolPartitions]
        configuration.replication = values[QueueManagerSettings.topicReplication]
        let pool = try await PoolLauncher(
            KafkaConnection(values, clientID: "queue-manager-pool"), configuration,
            observe: { [logger] observation in
                if case .clientFailed(let error) = observation {
                    logger.warning("Kafka client failed", metadata: ["error": "\(error)"])
                }
            })
        self.pool = pool
        route = RoutingLauncher(
            Dictionary(uniqueKeysWithValues: targets.map { ($0, pool) }), others: processes)
    }

    func close() async { await pool?.close() }

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
