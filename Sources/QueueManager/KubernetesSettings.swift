import ServiceRuntime
import Workflow

/// Where attempts run, and how Jobs of a Kubernetes cluster look.
package enum KubernetesSettings {
    package enum Launcher: String, Sendable, CaseIterable {
        case local, kubernetes
    }

    package enum LogStoreKind: String, Sendable, CaseIterable {
        case folder, postgres
    }

    package static let launcher = Setting<Launcher>.choice(
        "LAUNCHER", example: "kubernetes",
        doc:
            "What attempts run as, but for those of `POOL_TARGETS`: processes of this machine, or Jobs of a cluster."
    ).fallback("local")
    package static let logStore = Setting<LogStoreKind>.choice(
        "LOG_STORE", example: "folder",
        doc:
            "Where the last 1 MiB of a Job's log goes before the Job is deleted: `WORKER_LOG_DIR`, which replicas "
            + "then share, or PostgreSQL."
    ).fallback("postgres")

    package static let kubeconfig = Setting.text(
        "KUBECONFIG", example: "/home/anna/.kube/config",
        doc:
            "The file that says where the API server is, colons between several. Not set: the pod's own account."
    ).optional()
    package static let namespace = Setting.text(
        "K8S_NAMESPACE", example: "stf",
        doc: "Where Jobs are made. Not set: as the account or `KUBECONFIG` says."
    ).typed(expects: "a DNS label") { isLabel($0) ? $0 : nil }.optional()
    package static let installation = Setting.text(
        "K8S_INSTALLATION", example: "streamforge",
        doc:
            "Names this engine in its Jobs' labels, for people. Engines with databases of their own may share a "
            + "namespace all the same: Jobs carry the database's id too."
    ).typed(expects: "a DNS label") { isLabel($0) ? $0 : nil }.fallback("streamforge")
    package static let image = Setting.text(
        "K8S_IMAGE", example: "registry/streamforge/worker:1.0",
        doc: "The workers' image, with `streamforge-worker` in its PATH. Needed with `LAUNCHER=kubernetes`."
    ).optional()
    package static let images = Setting<[String]>.list(
        "K8S_IMAGES",
        example: "graph-builder=registry/streamforge/graph:1.0,gnn-trainer=registry/streamforge/gnn:1.0",
        doc:
            "Images of targets whose programs `K8S_IMAGE` lacks: `streamforge-graph` for `graph-builder`, "
            + "`gnn-trainer` for `gnn-trainer` and `gnn-infer`. A target that is not named gets `K8S_IMAGE`."
    ).typed(expects: "target=image, commas between") { images($0) }.optional()
    package static let secret = Setting.text(
        "K8S_SECRET", example: "streamforge-worker",
        doc:
            "The Secret that workers read `KAFKA_PASSWORD`, `POSTGRES_URL` and their other secrets from, by member "
            + "of that name. Needed with `LAUNCHER=kubernetes`."
    ).optional()
    package static let configMap = Setting.text(
        "K8S_CONFIG_MAP", example: "streamforge-worker",
        doc:
            "The ConfigMap whose members are the workers' other settings. Not set: they get those of this program."
    ).optional()
    package static let serviceAccount = Setting.text(
        "K8S_SERVICE_ACCOUNT", example: "streamforge-worker",
        doc: "The workers' service account; its token is not mounted. Not set: the namespace's default."
    ).optional()
    package static let imagePullSecret = Setting.text(
        "K8S_IMAGE_PULL_SECRET", example: "registry", doc: "The Secret to pull the image with."
    ).optional()
    package static let nodeSelector = Setting<[String]>.list(
        "K8S_NODE_SELECTOR", example: "streamforge-worker=true",
        doc: "Labels of the nodes that Jobs run on; `-`: any node."
    ).typed(expects: "key=value, commas between, or -") { pairs($0) }.fallback("streamforge-worker=true")
    package static let tolerations = Setting<[JSONValue]>.json(
        "K8S_TOLERATIONS", expects: "a JSON list, as in a pod's spec.tolerations",
        example: #"[{"key":"dedicated","operator":"Exists"}]"#, doc: "Taints that Jobs put up with."
    ) { if case .array(let items) = $0 { items } else { nil } }.fallback("[]")
    package static let resources = Setting<[String: JSONValue]>.json(
        "K8S_RESOURCES", expects: "a JSON object of {\"requests\": …, \"limits\": …} by target",
        example: #"{"default":{"requests":{"cpu":"250m","memory":"256Mi"},"limits":{"memory":"1Gi"}}}"#,
        doc: "Resources of workers by target; `default` is for those that are not named."
    ) { value in
        guard let targets = value.members, targets.values.allSatisfy({ $0.members != nil }) else {
            return nil
        }
        return targets
    }.fallback(#"{"default":{"requests":{"cpu":"100m","memory":"128Mi"},"limits":{"memory":"1Gi"}}}"#)
    package static let gpuTargets = Setting<[String]>.list(
        "K8S_GPU_TARGETS", example: "gnn-trainer",
        doc: "Targets whose workers get one GPU (`nvidia.com/gpu`). Not set: none."
    ).optional()
    package static let podTemplate = Setting<JSONValue>.json(
        "K8S_POD_TEMPLATE",
        expects:
            "a JSON object with metadata, spec and container, which leaves the worker's own fields alone",
        example: #"{"spec":{"priorityClassName":"batch"},"container":{"imagePullPolicy":"Always"}}"#,
        doc: "More fields of pods and of the worker's container, merged into what is made (RFC 7386)."
    ) { $0 }.fallback("{}")
    package static let deadline = Setting<Duration>.seconds(
        "K8S_JOB_DEADLINE_SECONDS", in: 60...2_592_000, example: "86400",
        doc: "The cluster ends a Job that takes longer."
    ).fallback("86400")
    package static let keep = Setting<Duration>.seconds(
        "K8S_JOB_KEEP_SECONDS", in: 60...604_800, example: "3600",
        doc:
            "A finished Job that the engine did not delete, e.g. because it is gone for good, goes after this."
    ).fallback("3600")
    package static let stopGrace = Setting<Duration>.seconds(
        "K8S_STOP_SECONDS", in: 1...3_600, example: "30",
        doc: "Between SIGTERM and SIGKILL of a worker; more than its `SHUTDOWN_GRACE_SECONDS`."
    ).fallback("30")
    package static let placeLimit = Setting<Duration>.seconds(
        "K8S_PENDING_SECONDS", in: 10...86_400, example: "900",
        doc:
            "How long a pod may wait for a node, and a launch for a right or a quota; then its attempt has failed."
    ).fallback("900")
    package static let containerLimit = Setting<Duration>.seconds(
        "K8S_IMAGE_SECONDS", in: 10...86_400, example: "120",
        doc:
            "How long an image may fail to be pulled, or a container to be made; then its attempt has failed."
    ).fallback("120")
    package static let nodeLossGrace = Setting<Duration>.seconds(
        "K8S_NODE_LOSS_SECONDS", in: 0...3_600, example: "90",
        doc:
            "How long after its lease an attempt whose pod seems to run is in doubt: what is lost with its node does not "
            + "count as a failure, and the cluster takes 50 s to see that a node is silent, and a minute more to remove "
            + "the pods of one that was deleted before that."
    ).fallback("90")
    package static let httpPort = Setting<Int>.integer(
        "K8S_WORKER_HTTP_PORT", in: 0...65_535, example: "8000",
        doc: "The port of a worker's health and metrics; 0: a free one, for itself only."
    ).fallback("8000")
    package static let requestsPerSecond = Setting<Int>.integer(
        "K8S_REQUESTS_PER_SECOND", in: 1...10_000, example: "50",
        doc: "Requests to the API server on average; twice as many may follow a pause at once."
    ).fallback("50")

    package static let group = SettingsGroup(
        "Kubernetes",
        [
            launcher, logStore, kubeconfig, namespace, installation, image, images, secret, configMap,
            serviceAccount, imagePullSecret, nodeSelector, tolerations, resources, gpuTargets, podTemplate,
            deadline, keep, stopGrace, placeLimit, containerLimit, nodeLossGrace, httpPort, requestsPerSecond,
        ])

    private static func isLabel(_ text: String) -> Bool {
        let bytes = text.utf8
        return (1...63).contains(bytes.count)
            && bytes.allSatisfy { $0.isLowerAlphanumeric || $0 == UInt8(ascii: "-") }
            && bytes.first?.isLowerAlphanumeric == true && bytes.last?.isLowerAlphanumeric == true
    }

    private static func pairs(_ texts: [String]) -> [String: String]? {
        if texts == ["-"] { return [:] }
        var pairs: [String: String] = [:]
        for text in texts {
            let parts = text.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty else { return nil }
            pairs[parts[0]] = parts[1]
        }
        return pairs
    }

    private static func images(_ texts: [String]) -> [Target: String]? {
        guard let pairs = pairs(texts), pairs.count == texts.count else { return nil }
        var images: [Target: String] = [:]
        for (name, image) in pairs {
            guard let target = Target(rawValue: name), !image.isEmpty else { return nil }
            images[target] = image
        }
        return images
    }

    // MARK: What workers get

    /// Secrets of workers, which a Job names and the cluster puts in.
    package static var secretNames: [String] {
        workerSettings.filter(\.isSecret).map(\.name).sorted()
    }

    /// What workers get from our own settings: no secrets, no files' names but for certificates, which the image or a
    /// volume must have. What was given under another name or as a file is resolved: Jobs have neither.
    ///
    /// - Parameter hasConfigMap: their settings come from there; we only say what both sides must agree on.
    package static func workerEnvironment(
        from environment: [String: String], hasConfigMap: Bool
    ) throws -> [String: String] {
        let open = workerSettings.filter { !$0.isSecret }
        var variables = try SettingsReader(environment: environment).texts(of: open)
        let lease = WorkerSettings.lease
        let agreed = variables[lease.name] ?? lease.defaultText
        if hasConfigMap { variables = [:] }
        variables[lease.name] = agreed
        return variables
    }

    private static var workerSettings: [any AnySetting] {
        let groups = [
            KafkaSettings.group, TopicSettings.group, PostgresSettings.group, ExchangeSettings.group,
            ArangoSettings.group, ObjectStoreSettings.group,
        ]
        return groups.flatMap(\.settings)
            + [DocumentStoreSettings.kind, WorkerSettings.lease, ServiceSettings.logLevel]
    }
}

extension Setting {
    /// JSON, at most 64 KiB.
    fileprivate static func json(
        _ name: String, expects: String, example: String, doc: String,
        _ read: @escaping @Sendable (JSONValue) -> Value?
    ) -> Setting {
        Setting(name, absent: .refused, expects: expects, example: example, doc: doc) { text in
            guard text.utf8.count <= 65_536 else { return nil }
            return (try? MessageCodec.decode(JSONValue.self, fromText: text)).flatMap(read)
        }
    }
}
