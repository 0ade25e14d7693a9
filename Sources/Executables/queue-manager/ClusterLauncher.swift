import JobLaunchers
import KubernetesBridge
import Logging
import QueueManager
import ServiceLifecycle
import ServiceRuntime
import Workflow

/// The Kubernetes launcher as the settings ask for it.
struct ClusterLauncher {
    let launcher: KubernetesLauncher
    let logs: any LogStore
    let services: [any Service]

    /// - Throws: ``LaunchSetupError``, ``KubernetesError`` `configuration`, ``PostgresError``.
    init(_ parts: LauncherParts) async throws {
        let values = parts.values
        let reporter = KubernetesReporter(logger: parts.logger, factory: parts.metrics)
        let observe: KubernetesObserver = { reporter($0) }
        switch values[KubernetesSettings.logStore] {
        case .folder: logs = FolderLogStore(directory: values[QueueManagerSettings.workerLogDirectory])
        case .postgres: logs = PostgresLogStore(parts.pool)
        }
        let engine = EngineStore(parts.pool)
        // Jobs are marked with the database's id, which a new one does not have yet.
        try await engine.migrate()
        let installation = Installation(
            name: values[KubernetesSettings.installation], database: try await engine.installationID())
        let manifest = try Self.manifest(values, parts.environment, installation)
        var configuration = KubernetesLauncher.Configuration(manifest: manifest)
        configuration.limits.place = values[KubernetesSettings.placeLimit]
        configuration.limits.container = values[KubernetesSettings.containerLimit]
        configuration.nodeLossGrace = values[KubernetesSettings.nodeLossGrace]
        var limits = KubernetesClient.Limits()
        limits.requestsPerSecond = Double(values[KubernetesSettings.requestsPerSecond])
        limits.burst = limits.requestsPerSecond * 2
        let client = KubernetesClient(try Self.account(values, parts.environment), limits: limits) {
            observe(.requested($0))
        }
        let launcher = KubernetesLauncher(client, configuration, logs: logs, observe: observe)
        self.launcher = launcher
        services = [
            ClusterWatch(launcher, observe: observe),
            JobSweeper(
                launcher,
                finished: { keys in
                    let overview = try await engine.jobsOverview(of: keys)
                    return (overview.done, overview.unknown)
                },
                oneAtATime: { try await engine.sweepOneAtATime($0) }, observe: observe),
        ]
    }

    private static func account(
        _ values: SettingValues, _ environment: [String: String]
    ) throws -> KubernetesConfiguration {
        var account =
            if let path = values[KubernetesSettings.kubeconfig] {
                try Kubeconfig.read(path)
            } else {
                try KubernetesConfiguration.inCluster(environment: environment)
            }
        account.namespace = values[KubernetesSettings.namespace] ?? account.namespace
        return account
    }

    private static func manifest(
        _ values: SettingValues, _ environment: [String: String], _ installation: Installation
    ) throws -> JobManifestSettings {
        guard let image = values[KubernetesSettings.image], let secret = values[KubernetesSettings.secret]
        else {
            throw LaunchSetupError(
                description:
                    "LAUNCHER=kubernetes needs K8S_IMAGE, the workers' image, and K8S_SECRET, the Secret "
                    + "they read their secrets from")
        }
        guard let template = PodTemplate(values[KubernetesSettings.podTemplate]) else {
            throw LaunchSetupError(description: "K8S_POD_TEMPLATE: expected \(PodTemplate.rules)")
        }
        var manifest = JobManifestSettings(image: image, secret: secret, installation: installation)
        manifest.images = values[KubernetesSettings.images] ?? [:]
        manifest.serviceAccount = values[KubernetesSettings.serviceAccount]
        manifest.imagePullSecret = values[KubernetesSettings.imagePullSecret]
        manifest.configMap = values[KubernetesSettings.configMap]
        manifest.secretNames = KubernetesSettings.secretNames
        manifest.environment = try KubernetesSettings.workerEnvironment(
            from: environment, hasConfigMap: manifest.configMap != nil)
        manifest.resources = values[KubernetesSettings.resources]
        manifest.nodeSelector = values[KubernetesSettings.nodeSelector]
        manifest.tolerations = values[KubernetesSettings.tolerations]
        manifest.gpuTargets = Set(values[KubernetesSettings.gpuTargets] ?? [])
        manifest.deadline = values[KubernetesSettings.deadline]
        manifest.keep = values[KubernetesSettings.keep]
        manifest.stopGrace = values[KubernetesSettings.stopGrace]
        manifest.httpPort = values[KubernetesSettings.httpPort]
        manifest.template = template
        return manifest
    }
}
