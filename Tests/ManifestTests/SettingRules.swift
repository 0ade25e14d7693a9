import ArangoConnector
import DummyService
import GNNTrainer
import GraphBuilder
import JobLaunchers
import LoaderAPICandles
import LoaderAPITrades
import QueueManager
import ServiceRuntime
import WorkerKit
import Workflow

/// What containers and ConfigMaps say is what the programs' settings tables take.
struct SettingRules {
    let manifests: Manifests

    /// Of all kinds that run as Jobs.
    private static let workerTables = [
        WorkerProgram.table(CandleLoader.kind), WorkerProgram.table(TradeLoader.kind),
        WorkerProgram.table(ConnectorWorker.kind), WorkerProgram.table(DummyWorker.kind),
        WorkerProgram.table(GraphBuilderWorker.kind), WorkerProgram.table(GNNTrainerWorker.kind),
        WorkerProgram.table(GNNInferWorker.kind),
    ]

    /// By the container's name.
    private static let programs: [String: SettingsTable] = [
        "queue-manager": QueueManagerSettings.table, "pool": PoolProgram.table,
        "connector": SharedConnectorProgram.table,
    ]

    func problems() -> [String] {
        manifests.workloads.flatMap { workload in workload.containers.flatMap { problems($0, of: workload) } }
            + workerMap() + unusedMaps() + image() + certificates()
            + JobRules(told: told, map: workerValues).problems()
    }

    /// A program would start with this environment, and no variable of it is unknown.
    private func problems(_ container: JSONValue, of workload: JSONValue) -> [String] {
        guard let table = Self.programs[container.name] else {
            return ["\(workload.title): no settings table is known for its container \(container.name)"]
        }
        var problems: [String] = []
        // The shared map is the workers' too, and checked as such.
        let shared = manifests.first("ConfigMap", sharedMapName)?["data"]?.texts ?? [:]
        let environment = ContainerEnvironment(container, manifests)
        problems += environment.problems.map { "\(workload.title): \($0)" }
        for name in environment.values.keys.sorted() where shared[name] == nil {
            if Self.setting(name, [table]) == nil {
                problems.append("\(workload.title): \(table.program) has no setting \(name)")
            }
        }
        for name in environment.secrets.sorted() where Self.setting(name, [table])?.isSecret != true {
            problems.append("\(workload.title): \(name) is no secret setting of \(table.program)")
        }
        do {
            let values = try SettingsReader(environment: environment.values).read(table)
            try KafkaSettings.check(values)
        } catch {
            problems += error.problems.map { "\(workload.title): \($0)" }
        }
        return problems
    }

    // MARK: Jobs

    private var queueManager: ContainerEnvironment? {
        manifests.first("Deployment", "queue-manager")?.containers.first.map {
            ContainerEnvironment($0, manifests)
        }
    }

    private func told(_ setting: any AnySetting) -> String? {
        queueManager?.values[setting.name] ?? setting.defaultText
    }

    private var sharedMapName: String { told(KubernetesSettings.configMap) ?? "" }

    private var workerValues: [String: String] {
        manifests.first("ConfigMap", sharedMapName)?["data"]?.texts ?? [:]
    }

    private func workerMap() -> [String] {
        guard let map = manifests.first("ConfigMap", sharedMapName) else {
            return ["K8S_CONFIG_MAP names \(sharedMapName), which is not there"]
        }
        return (map["data"]?.members ?? [:]).sorted { $0.key < $1.key }.compactMap { name, value in
            guard let setting = Self.setting(name, Self.workerTables) else {
                return "\(map.title): no worker has a setting \(name)"
            }
            if setting.isSecret { return "\(map.title): \(name) is a secret" }
            guard let text = value.string, setting.parseAny(text) != nil else {
                return "\(map.title): \(name) is \(value.excerpt), expected \(setting.expects)"
            }
            return nil
        }
    }

    /// A ConfigMap that nobody reads is a mistake in its name.
    private func unusedMaps() -> [String] {
        let used = Set(
            manifests.workloads.flatMap(\.containers).flatMap { container in
                (container["envFrom"]?.items ?? []).compactMap { $0["configMapRef", "name"]?.string }
            })
        return manifests.all("ConfigMap").map(\.name).filter { !used.contains($0) }
            .map { "ConfigMap \($0) is read by nobody" }
    }

    private func image() -> [String] {
        guard let image = told(KubernetesSettings.image) else { return ["K8S_IMAGE is not set"] }
        return ["pool", SharedConnectorProgram.name].compactMap { name in
            // Not every overlay has connectors.
            guard let workload = manifests.first("Deployment", name) ?? (name == "pool" ? .null : nil) else {
                return nil
            }
            let own = workload.containers.first?["image"]?.string
            return own == image ? nil : "the image of \(name) is \(own ?? "none"), but that of Jobs \(image)"
        }
    }

    /// A certificate is where it is looked for, in pods of our own and in those of Jobs.
    private func certificates() -> [String] {
        let path = KafkaSettings.certificateAuthorityPath.name
        var problems: [String] = []
        for workload in manifests.workloads {
            for container in workload.containers {
                guard let file = ContainerEnvironment(container, manifests).values[path] else { continue }
                if !Self.isMounted(file, container) {
                    problems.append("\(workload.title): nothing is mounted at \(file) (\(path))")
                }
            }
        }
        let text = told(KubernetesSettings.podTemplate) ?? "{}"
        guard let value = try? MessageCodec.decode(JSONValue.self, fromText: text),
            let template = PodTemplate(value)
        else { return problems + ["K8S_POD_TEMPLATE is \(text), expected \(PodTemplate.rules)"] }
        if let file = manifests.first("ConfigMap", sharedMapName)?["data", path]?.string,
            !Self.isMounted(file, template.container)
        {
            problems.append("K8S_POD_TEMPLATE mounts nothing at \(file) (\(path)) in Jobs")
        }
        return problems
    }

    private static func isMounted(_ file: String, _ container: JSONValue) -> Bool {
        (container["volumeMounts"]?.items ?? []).contains {
            $0["mountPath"]?.string.map { file.hasPrefix($0 + "/") } ?? false
        }
    }

    private static func setting(_ variable: String, _ tables: [SettingsTable]) -> (any AnySetting)? {
        tables.lazy.flatMap(\.settings).first { ([$0.name] + $0.aliases).contains(variable) }
    }
}

/// The variables that a container begins with; a value that only the cluster knows has a stand-in.
struct ContainerEnvironment {
    private(set) var values: [String: String] = [:]
    /// Of them, those that come from Secrets.
    private(set) var secrets: Set<String> = []
    private(set) var problems: [String] = []

    init(_ container: JSONValue, _ manifests: Manifests) {
        for source in container["envFrom"]?.items ?? [] {
            let name = source["configMapRef", "name"]?.string ?? ""
            guard let data = manifests.first("ConfigMap", name)?["data"]?.members else {
                problems.append("there is no ConfigMap \(name)")
                continue
            }
            for (key, value) in data {
                guard let text = value.string else {
                    problems.append("ConfigMap \(name): \(key) is no text")
                    continue
                }
                values[key] = text
            }
        }
        for entry in container["env"]?.items ?? [] { add(entry) }
    }

    private mutating func add(_ entry: JSONValue) {
        let name = entry.name
        if let reference = entry["valueFrom", "secretKeyRef"] {
            if reference["key"]?.string != name {
                problems.append("\(name) comes from a Secret's member of another name")
            }
            secrets.insert(name)
            values[name] = "stand-in"
        } else if name.hasSuffix("_FILE") {
            // The file's name is that of the Secret's member.
            let setting = String(name.dropLast("_FILE".count))
            if entry["value"]?.string?.split(separator: "/").last.map(String.init) != setting {
                problems.append("\(name) is another member's file: \(entry["value"]?.excerpt ?? "none")")
            }
            secrets.insert(setting)
            values[setting] = "stand-in"
        } else if let text = entry["value"]?.string {
            values[name] = text
        } else {
            problems.append("\(name) has no value")
        }
    }
}
