import JobLaunchers
import Testing
import Workflow

struct JobManifestTests {
    private var settings = JobManifestSettings(
        image: "registry/streamforge/worker:1", secret: "worker",
        installation: Installation(name: "streamforge", database: "0123456789abcdef"))

    private func manifest(
        _ settings: JobManifestSettings, target: Target = .loaderAPICandles,
        environment: [String: String] = [:]
    ) throws -> JSONValue {
        JobManifest(try job(target: target, environment: environment), settings).json
    }

    private func environment(_ manifest: JSONValue) -> [String: JSONValue] {
        let entries = manifest.at("spec.template.spec.containers.0.env")?.items ?? []
        return Dictionary(
            entries.compactMap { entry in entry.at("name")?.string.map { ($0, entry) } },
            uniquingKeysWith: { first, _ in first })
    }

    @Test func `attempts are the engine's: the Job tries once and leaves by itself in the end`() throws {
        let job = try manifest(settings)
        #expect(job.at("apiVersion") == .string("batch/v1") && job.at("kind") == .string("Job"))
        #expect(job.at("spec.backoffLimit") == .integer(0))
        #expect(job.at("spec.podReplacementPolicy") == .string("Failed"))
        #expect(job.at("spec.template.spec.restartPolicy") == .string("Never"))
        #expect(job.at("spec.activeDeadlineSeconds") == .integer(86_400))
        #expect(job.at("spec.ttlSecondsAfterFinished") == .integer(3_600))
        #expect(job.at("spec.template.spec.terminationGracePeriodSeconds") == .integer(30))
    }

    @Test func `pods carry the Job's labels, for one watch over all of them`() throws {
        let job = try manifest(settings)
        #expect(job.at("spec.template.metadata.labels") == job.at("metadata.labels"))
        #expect(job.at("metadata.labels")?.members?["app"] == .string("streamforge"))
    }

    @Test func `the worker runs its target with what the attempt and the settings say`() throws {
        var settings = settings
        settings.environment = ["KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "INTERVAL": "5m"]
        let job = try manifest(settings, environment: ["INTERVAL": "1m", "NOTE": "$(HOME) costs $5"])
        let container = try #require(job.at("spec.template.spec.containers.0"))
        #expect(container.at("image") == .string("registry/streamforge/worker:1"))
        #expect(container.at("command") == .array([.string("streamforge-worker")]))
        #expect(container.at("args") == .array([.string("loader-api-candles")]))
        let environment = environment(job)
        #expect(environment["KAFKA_BOOTSTRAP_SERVERS"]?.at("value") == .string("kafka:9092"))
        #expect(environment["INTERVAL"]?.at("value") == .string("1m"))
        #expect(environment["NOTE"]?.at("value") == .string("$$(HOME) costs $5"))
        #expect(environment["PORT"]?.at("value") == .string("8000"))
        #expect(environment["HTTP_HOST"]?.at("value") == .string("0.0.0.0"))
    }

    @Test(arguments: [
        (Target.graphBuilder, "streamforge-graph", "registry/graph:1"),
        (.gnnTrainer, "gnn-trainer", "registry/gnn:1"),
        (.gnnInfer, "gnn-trainer", "registry/streamforge/worker:1"),
        (.dummyService, "streamforge-worker", "registry/streamforge/worker:1"),
    ])
    func `a target has its own program, and its own image where one is named`(
        target: Target, program: String, image: String
    ) throws {
        var settings = settings
        settings.images = [.graphBuilder: "registry/graph:1", .gnnTrainer: "registry/gnn:1"]
        let container = try #require(
            try manifest(settings, target: target).at("spec.template.spec.containers.0"))
        #expect(container.at("image") == .string(image))
        #expect(container.at("command") == .array([.string(program)]))
        #expect(container.at("args") == .array([.string(target.rawValue)]))
    }

    @Test func `secrets are named, never written down`() throws {
        var settings = settings
        settings.secretNames = ["KAFKA_PASSWORD"]
        let entry = environment(try manifest(settings))["KAFKA_PASSWORD"]
        #expect(entry?.at("value") == nil)
        #expect(
            entry?.at("valueFrom.secretKeyRef")
                == .object([
                    "name": .string("worker"), "key": .string("KAFKA_PASSWORD"), "optional": .bool(true),
                ]))
    }

    @Test func `equal attempts make equal manifests`() throws {
        let one = try MessageCodec.encode(try manifest(settings, environment: ["A": "1", "B": "2"]))
        let two = try MessageCodec.encode(try manifest(settings, environment: ["B": "2", "A": "1"]))
        #expect(one == two)
    }

    @Test func `it may do nothing that it does not need`() throws {
        let job = try manifest(settings)
        let pod = "spec.template.spec."
        #expect(job.at(pod + "securityContext.runAsNonRoot") == .bool(true))
        #expect(job.at(pod + "securityContext.seccompProfile.type") == .string("RuntimeDefault"))
        #expect(job.at(pod + "automountServiceAccountToken") == .bool(false))
        let own = pod + "containers.0.securityContext."
        #expect(job.at(own + "readOnlyRootFilesystem") == .bool(true))
        #expect(job.at(own + "allowPrivilegeEscalation") == .bool(false))
        #expect(job.at(own + "privileged") == .bool(false))
        #expect(job.at(own + "capabilities.drop") == .array([.string("ALL")]))
        // The root file system cannot be written.
        #expect(job.at(pod + "volumes.0.emptyDir") == .object([:]))
        #expect(job.at(pod + "containers.0.volumeMounts.0.mountPath") == .string("/tmp"))
    }

    @Test func `where it runs and with what account is set`() throws {
        var settings = settings
        settings.serviceAccount = "worker"
        settings.imagePullSecret = "registry"
        settings.configMap = "settings"
        settings.nodeSelector = ["pool": "batch"]
        settings.tolerations = [.object(["key": .string("dedicated"), "operator": .string("Exists")])]
        let job = try manifest(settings)
        let pod = "spec.template.spec."
        #expect(job.at(pod + "serviceAccountName") == .string("worker"))
        #expect(job.at(pod + "imagePullSecrets.0.name") == .string("registry"))
        #expect(job.at(pod + "containers.0.envFrom.0.configMapRef.name") == .string("settings"))
        #expect(job.at(pod + "nodeSelector") == .object(["pool": .string("batch")]))
        #expect(job.at(pod + "tolerations.0.key") == .string("dedicated"))
        let plain = try manifest(self.settings)
        #expect(plain.at(pod + "nodeSelector") == .object(["streamforge-worker": .string("true")]))
        for absent in ["serviceAccountName", "imagePullSecrets", "tolerations", "containers.0.envFrom"] {
            #expect(plain.at(pod + absent) == nil)
        }
    }

    @Test func `resources are the target's, else the default's, and a GPU is added where asked for`() throws {
        var settings = settings
        let small = JSONValue.object(["requests": .object(["cpu": .string("100m")])])
        let large = JSONValue.object(["limits": .object(["memory": .string("8Gi")])])
        settings.resources = ["default": small, "arango-connector": large]
        settings.gpuTargets = ["arango-connector"]
        let path = "spec.template.spec.containers.0.resources"
        #expect(try manifest(settings).at(path) == small)
        #expect(
            try manifest(settings, target: .arangoConnector).at(path)
                == .object(["limits": .object(["memory": .string("8Gi"), "nvidia.com/gpu": .integer(1)])]))
        #expect(try manifest(self.settings).at(path) == nil)
    }

    @Test func `a template adds fields, and joins volumes to ours`() throws {
        let template = try MessageCodec.decode(
            JSONValue.self,
            fromText: """
                {"metadata":{"annotations":{"sidecar.istio.io/inject":"false"}},
                 "spec":{"priorityClassName":"batch","securityContext":{"runAsUser":1000},
                         "volumes":[{"name":"ca","secret":{"secretName":"ca"}}]},
                 "container":{"imagePullPolicy":"Always","volumeMounts":[{"name":"ca","mountPath":"/ca"}]}}
                """)
        var settings = settings
        settings.template = try #require(PodTemplate(template))
        let job = try manifest(settings)
        let pod = "spec.template.spec."
        #expect(job.at(pod + "priorityClassName") == .string("batch"))
        #expect(job.at(pod + "securityContext.runAsUser") == .integer(1_000))
        #expect(job.at(pod + "securityContext.runAsNonRoot") == .bool(true))
        #expect(job.at(pod + "volumes")?.items.compactMap { $0.at("name")?.string } == ["tmp", "ca"])
        #expect(job.at(pod + "containers.0.volumeMounts")?.items.count == 2)
        #expect(job.at(pod + "containers.0.imagePullPolicy") == .string("Always"))
        let annotations = job.at("spec.template.metadata.annotations")?.members
        #expect(annotations?["sidecar.istio.io/inject"] == .string("false"))
        #expect(annotations?["streamforge.io/instance"] == .string("BTCUSDT"))
    }

    @Test(arguments: [
        #"{"spec":{"containers":[]}}"#, #"{"spec":{"restartPolicy":"Always"}}"#,
        #"{"container":{"env":[]}}"#, #"{"container":{"image":"other"}}"#, #"{"status":{}}"#, "[]",
        #"{"spec":1}"#,
    ])
    func `a template may not change what the engine relies on`(text: String) throws {
        #expect(PodTemplate(try MessageCodec.decode(JSONValue.self, fromText: text)) == nil)
    }

    @Test func `port 0 is for the worker itself only`() throws {
        var settings = settings
        settings.httpPort = 0
        let job = try manifest(settings)
        #expect(environment(job)["PORT"]?.at("value") == .string("0"))
        #expect(environment(job)["HTTP_HOST"] == nil)
        #expect(job.at("spec.template.spec.containers.0.ports") == nil)
    }
}
