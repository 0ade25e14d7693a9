import Workflow

/// What Jobs look like beside what follows from the attempt.
package struct JobManifestSettings: Sendable {
    /// e.g. `registry/streamforge/worker:1.0`.
    package var image: String
    /// Of targets with a program that ``image`` has not.
    package var images: [Target: String] = [:]
    package var installation: Installation
    package var serviceAccount: String?
    /// A Secret of type `kubernetes.io/dockerconfigjson`.
    package var imagePullSecret: String?
    /// A ConfigMap whose members become variables; those of the attempt win.
    package var configMap: String?
    /// A Secret with members named as the variables of ``secretNames``; any may be missing.
    package var secret: String
    package var secretNames: [String] = []
    /// What every worker reads beside its attempt's own variables; no secrets.
    package var environment: [String: String] = [:]
    /// `{"requests": …, "limits": …}` by target; `default` for the others.
    package var resources: [String: JSONValue] = [:]
    package var nodeSelector = ["streamforge-worker": "true"]
    /// As in a pod's `spec.tolerations`.
    package var tolerations: [JSONValue] = []
    /// Targets whose workers get one GPU (`nvidia.com/gpu`).
    package var gpuTargets: Set<String> = []
    /// A Job that runs longer is ended by the cluster.
    package var deadline = Duration.seconds(86_400)
    /// A finished Job that the engine did not delete goes after this.
    package var keep = Duration.seconds(3_600)
    /// Between SIGTERM and SIGKILL.
    package var stopGrace = Duration.seconds(30)
    /// The port of a worker's probes and metrics; 0: a free one, on loopback only.
    package var httpPort = 8_000
    package var template = PodTemplate()

    package init(image: String, secret: String, installation: Installation) {
        self.image = image
        self.secret = secret
        self.installation = installation
    }
}

/// More fields for pods: `{"metadata": …, "spec": …, "container": …}`, merged into what is made here.
package struct PodTemplate: Sendable, Hashable {
    package private(set) var metadata: JSONValue = .object([:])
    package private(set) var spec: JSONValue = .object([:])
    /// Of the worker's container.
    package private(set) var container: JSONValue = .object([:])

    /// What the engine relies on; a template may not change it.
    private static let kept = [
        "spec": ["containers", "restartPolicy", "activeDeadlineSeconds"],
        "container": ["name", "image", "command", "args", "env"],
    ]

    package init() {}

    /// - Returns: nil when the value has another form, or changes what the engine relies on.
    package init?(_ value: JSONValue) {
        guard let parts = value.members, Set(parts.keys).isSubset(of: ["metadata", "spec", "container"])
        else { return nil }
        for (name, part) in parts {
            guard let members = part.members,
                Self.kept[name, default: []].allSatisfy({ members[$0] == nil })
            else { return nil }
        }
        metadata = parts["metadata"] ?? metadata
        spec = parts["spec"] ?? spec
        container = parts["container"] ?? container
    }

    package static let rules =
        "a JSON object with metadata, spec and container, without spec.containers, spec.restartPolicy, "
        + "container.name, .image, .command, .args and .env"
}
