import Workflow

/// The batch/v1 Job of an attempt, as JSON: pure.
package struct JobManifest: Sendable {
    package let job: Job
    package let settings: JobManifestSettings

    /// The worker's container in the pod.
    package static let container = "worker"

    package init(_ job: Job, _ settings: JobManifestSettings) {
        self.job = job
        self.settings = settings
    }

    package var name: String { KubernetesName.job(job) }
    package var labels: [String: String] {
        JobLabels(job, installation: settings.installation).labels
    }

    package var json: JSONValue {
        .object([
            "apiVersion": .string("batch/v1"), "kind": .string("Job"), "metadata": metadata(named: true),
            "spec": .object([
                // Attempts are the engine's.
                "backoffLimit": .integer(0),
                // The Job has failed when its worker has ended, not when somebody asked its pod to.
                "podReplacementPolicy": .string("Failed"),
                "activeDeadlineSeconds": .integer(settings.deadline.wholeSeconds),
                "ttlSecondsAfterFinished": .integer(settings.keep.wholeSeconds),
                "template": .object([
                    "metadata": settings.template.metadata.merged(with: metadata(named: false)),
                    "spec": podSpec,
                ]),
            ]),
        ])
    }

    private func metadata(named: Bool) -> JSONValue {
        var members: [String: JSONValue] = [
            "labels": .object(labels.mapValues { .string($0) }),
            "annotations": .object([JobLabels.instanceAnnotation: .string(job.id.instance)]),
        ]
        if named { members["name"] = .string(name) }
        return .object(members)
    }

    private var podSpec: JSONValue {
        var spec: [String: JSONValue] = [
            "restartPolicy": .string("Never"),
            "nodeSelector": .object(settings.nodeSelector.mapValues { .string($0) }),
            "terminationGracePeriodSeconds": .integer(settings.stopGrace.wholeSeconds),
            // Workers speak to Kafka and the stores, never to the API server.
            "automountServiceAccountToken": .bool(false),
            "enableServiceLinks": .bool(false),
            "securityContext": .object([
                "runAsNonRoot": .bool(true),
                "seccompProfile": .object(["type": .string("RuntimeDefault")]),
            ]),
            "volumes": .array([.object(["name": .string("tmp"), "emptyDir": .object([:])])]),
        ]
        if !settings.tolerations.isEmpty { spec["tolerations"] = .array(settings.tolerations) }
        spec["serviceAccountName"] = settings.serviceAccount.map { .string($0) }
        spec["imagePullSecrets"] = settings.imagePullSecret.map {
            .array([.object(["name": .string($0)])])
        }
        guard case .object(var merged) = JSONValue.object(spec).merged(with: settings.template.spec) else {
            return .object(spec)
        }
        // Lists are joined, so that a template need not repeat ours.
        merged["volumes"] = joined(spec["volumes"], settings.template.spec.members?["volumes"])
        merged["containers"] = .array([container])
        return .object(merged)
    }

    private var container: JSONValue {
        let mounts = JSONValue.array([
            .object(["name": .string("tmp"), "mountPath": .string("/tmp")])
        ])
        var container: [String: JSONValue] = [
            "name": .string(Self.container),
            "image": .string(settings.images[job.target] ?? settings.image),
            "command": .array([.string(job.target.program)]), "args": .array([.string(job.target.rawValue)]),
            "env": environment,
            "volumeMounts": mounts,
            // Its last lines say why it ended, also to who only looks at the pod.
            "terminationMessagePolicy": .string("FallbackToLogsOnError"),
            "securityContext": .object([
                "allowPrivilegeEscalation": .bool(false), "readOnlyRootFilesystem": .bool(true),
                "privileged": .bool(false),
                "capabilities": .object(["drop": .array([.string("ALL")])]),
            ]),
        ]
        container["resources"] = resources
        container["envFrom"] = settings.configMap.map {
            .array([.object(["configMapRef": .object(["name": .string($0)])])])
        }
        if settings.httpPort > 0 {
            container["ports"] = .array([
                .object(["name": .string("http"), "containerPort": .integer(Int64(settings.httpPort))])
            ])
        }
        let patch = settings.template.container
        guard case .object(var merged) = JSONValue.object(container).merged(with: patch) else {
            return .object(container)
        }
        merged["volumeMounts"] = joined(mounts, patch.members?["volumeMounts"])
        return .object(merged)
    }

    private func joined(_ own: JSONValue?, _ more: JSONValue?) -> JSONValue {
        var items: [JSONValue] = []
        for case .array(let part)? in [own, more] { items += part }
        return .array(items)
    }

    /// By target, else the default; a GPU is a limit.
    private var resources: JSONValue? {
        let target = job.target.rawValue
        let own = settings.resources[target] ?? settings.resources["default"]
        guard settings.gpuTargets.contains(target) else { return own }
        let gpu = JSONValue.object(["limits": .object(["nvidia.com/gpu": .integer(1)])])
        return (own ?? .object([:])).merged(with: gpu)
    }

    /// Sorted by name, so that equal attempts are equal manifests.
    private var environment: JSONValue {
        var values = settings.environment.merging(job.environment) { _, own in own }
        values["PORT"] = String(settings.httpPort)
        // The cluster's probes and scrapers come from other addresses.
        if settings.httpPort > 0 { values["HTTP_HOST"] = "0.0.0.0" }
        var entries = values.mapValues { JSONValue.object(["value": .string(Self.escaped($0))]) }
        for name in settings.secretNames {
            entries[name] = .object([
                "valueFrom": .object([
                    "secretKeyRef": .object([
                        "name": .string(settings.secret), "key": .string(name), "optional": .bool(true),
                    ])
                ])
            ])
        }
        return .array(
            entries.sorted { $0.key < $1.key }.map { name, entry in
                entry.merged(with: .object(["name": .string(name)]))
            })
    }

    /// Kubernetes would put other variables in place of `$(NAME)`.
    private static func escaped(_ value: String) -> String { value.replacing("$(", with: "$$(") }
}

extension Duration {
    /// Rounded up, at least 1.
    fileprivate var wholeSeconds: Int64 {
        max(1, components.seconds + (components.attoseconds > 0 ? 1 : 0))
    }
}
