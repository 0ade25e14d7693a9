import Foundation
import Testing
import Workflow

@Suite(.enabled(if: Kubectl.isWanted, Comment(rawValue: Kubectl.skipReason)), .timeLimit(.minutes(2)))
struct OverlayTests {
    /// All that is wrong with an overlay's objects, in words.
    static func problems(_ yaml: String) throws -> [String] {
        let manifests = try Manifests(yaml: yaml)
        return SettingRules(manifests: manifests).problems() + PodRules(manifests: manifests).problems()
            + (try AccessRules(manifests: manifests).problems())
            + (try MetricRules(manifests: manifests).problems())
            + (try KafkaRules(manifests: manifests).problems()) + SecretRules(manifests: manifests).problems()
    }

    @Test(arguments: ["dev", "prod"])
    func `an overlay agrees with the code`(overlay: String) async throws {
        let yaml = try await Manifests.yaml(of: "overlays/\(overlay)")
        #expect(try Self.problems(yaml) == [])
        #expect(try Manifests(yaml: yaml).objects.count > 12)
    }

    /// Where a text is replaced, what stands there instead, and a part of what has to be found.
    struct Mistake: Sendable {
        var old: String
        var new: String
        var found: String

        init(_ old: String, _ new: String, finds found: String) {
            (self.old, self.new, self.found) = (old, new, found)
        }
    }

    static let mistakes = [
        Mistake("LOG_STORE: postgres", "LOG_SHOP: postgres", finds: "has no setting LOG_SHOP"),
        Mistake("LAUNCHER: kubernetes", "LAUNCHER: cluster", finds: "LAUNCHER"),
        Mistake("LEASE_SECONDS: \"30\"", "LEASE: \"30\"", finds: "no worker has a setting LEASE"),
        Mistake("name: POSTGRES_URL_FILE", "name: POSTGRES_URI_FILE", finds: "POSTGRES_URI"),
        Mistake("POOL_SLOTS: \"16\"", "POOL_SLOTS: \"8\"", finds: "threshold is not POOL_SLOTS, 8"),
        Mistake("K8S_CONFIG_MAP: streamforge-worker", "K8S_CONFIG_MAP: other", finds: "names other"),
        Mistake("K8S_STOP_SECONDS: \"30\"", "K8S_STOP_SECONDS: \"15\"", finds: "K8S_STOP_SECONDS is 15"),
        Mistake("K8S_SECRET: streamforge-worker-secrets", "K8S_SECRET: passwords", finds: "passwords"),
        Mistake(
            "gnn-infer=registry.example/streamforge/gnn-trainer:",
            "gnn-infer=registry.example/streamforge/gnn:",
            finds: "the image of gnn-infer"),
        Mistake(
            "K8S_IMAGES: graph-builder=", "K8S_IMAGES: dummy-service=", finds: "the image of graph-builder"),
        Mistake("\"gnn-infer\":{", "\"gnn\":{", finds: "there is no target gnn"),
        Mistake(
            "GRAPH_MEMORY_MAX: \"3072\"", "GRAPH_MEMORY_MAX: \"4096\"", finds: "GRAPH_MEMORY_MAX is 4096 MiB"),
        Mistake("\"mountPath\":\"/etc", "\"mountPath\":\"/tmp", finds: "K8S_POD_TEMPLATE mounts nothing"),
        Mistake("K8S_WORKER_HTTP_PORT: \"8000\"", "K8S_WORKER_HTTP_PORT: \"81\"", finds: "Jobs listen at 81"),
        Mistake(
            "K8S_SERVICE_ACCOUNT: streamforge-worker", "K8S_SERVICE_ACCOUNT: other", finds: "names other"),
        Mistake("KAFKA_USER: streamforge-worker", "KAFKA_USER: streamforge", finds: "no such KafkaUser"),
        Mistake("path: /health/ready", "path: /ready", finds: "not /health/ready"),
        Mistake("containerPort: 8000", "containerPort: 8080", finds: "its port http is not PORT"),
        Mistake("targetPort: http", "targetPort: web", finds: "leads to a port web"),
        Mistake("path: /metrics", "path: /prometheus", finds: "scrapes /prometheus"),
        Mistake("port: 8000", "port: 8001", finds: "lets in at 8001"),
        Mistake(
            "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", finds: "readOnlyRootFilesystem"),
        Mistake("runAsNonRoot: true", "runAsNonRoot: false", finds: "may run as root"),
        Mistake("terminationGracePeriodSeconds: 40", "terminationGracePeriodSeconds: 25", finds: "gets 25 s"),
        Mistake(
            "POOL_TARGETS: dummy-service", "POOL_WORKER_ID: a", finds: "POOL_WORKER_ID is for a StatefulSet"),
        Mistake("streamforge_launch_failures_total", "streamforge_failures_total", finds: "no program tells"),
        Mistake(
            "max(sum by (pod) (streamforge_instances{", "max(sum(streamforge_work_total{",
            finds: "ScaledObject"),
        Mistake("  - watch\n", "", finds: "does not allow: watch"),
        Mistake("  - pods/log\n", "  - pods/exec\n", finds: "allows what nobody asks for: get pods/exec"),
        Mistake(
            "  name: queue-events\n", "  name: queue-event\n", finds: "there is no KafkaTopic queue-events"),
        Mistake("partitions: 12", "partitions: 6", finds: "has not 12 partitions"),
        Mistake("retention.ms: 604800000", "retention.ms: 86400000", finds: "less than 7 days"),
        Mistake("maxReplicaCount: 12", "maxReplicaCount: 13", finds: "above the 12 partitions"),
        Mistake("consumerGroup: sf-arango-connector", "consumerGroup: sf", finds: "is not the connectors'"),
        Mistake("topic: market-trades", "topic: market-candles", finds: "the lag of market-trades"),
        Mistake(
            "  name: market-trades-dead\n", "  name: market-dead\n", finds: "no KafkaTopic market-trades-dead"
        ),
        Mistake("name: sf-wf-\n", "name: sf-w-\n", finds: "may not"),
        Mistake("      - Delete\n", "      - Delete\n      - Alter\n", finds: "may Alter topic wf-*"),
        Mistake("consumerGroup: sf-pool-dummy-service", "consumerGroup: pool", finds: "is not the pool's"),
        Mistake("name: streamforge-kafka\n", "name: streamforge-kafk\n", finds: "no TriggerAuthentication"),
    ]

    @Test func `planted mistakes are found`() async throws {
        let yaml = try await Manifests.yaml(of: "overlays/prod")
        for mistake in Self.mistakes {
            let spoilt = try #require(yaml.firstRange(of: mistake.old), "\(mistake)").lowerBound
            let text =
                yaml[..<spoilt]
                + yaml[spoilt...].replacing(mistake.old, with: mistake.new, maxReplacements: 1)
            let problems = try Self.problems(String(text))
            #expect(problems.contains { $0.contains(mistake.found) }, "\(mistake): \(problems)")
        }
    }

    @Test(.enabled(if: Tool.path("promtool") != nil, "promtool is not installed: scripts/setup --tests"))
    func `Prometheus takes the rules`() async throws {
        let rules = try Manifests(yaml: await Manifests.yaml(of: "overlays/prod")).all("PrometheusRule")
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        // JSON is YAML.
        let file = folder.path("rules.yaml")
        let spec = try #require(rules.first?["spec"])
        try Data(MessageCodec.encode(spec)).write(to: URL(filePath: file))
        try await Tool.run(try #require(Tool.path("promtool")), ["check", "rules", file])
    }

    @Test func `names of metrics are told from functions, labels and words`() {
        #expect(
            MetricRules.metrics(
                in: "sum by (pod) (rate(a_total{b=\"c_d\"}[5m])) / on (e_f) max(g_h) > 0 and i_j")
                == ["a_total", "g_h", "i_j"])
    }
}
