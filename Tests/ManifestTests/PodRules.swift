import Foundation
import JobLaunchers
import QueueManager
import ServiceRuntime
import WorkerKit
import Workflow

/// Ports, probes, grace, rights and references of pods.
struct PodRules {
    let manifests: Manifests

    static let metricsPath = "/metrics"

    func problems() -> [String] {
        var problems: [String] = []
        for workload in manifests.workloads {
            var own = account(workload)
            for container in workload.containers {
                own += ports(container) + probes(container) + rights(container) + grace(container, workload)
            }
            problems += own.map { "\(workload.title): \($0)" }
        }
        problems += services() + policies()
        problems += monitors() + references() + jobs()
        return problems
    }

    // MARK: Ports

    private func environment(_ container: JSONValue) -> [String: String] {
        ContainerEnvironment(container, manifests).values
    }

    private func port(_ name: String, _ container: JSONValue) -> Int64? {
        container["ports"]?.items.first { $0.name == name }?["containerPort"]?.integer
    }

    private func ports(_ container: JSONValue) -> [String] {
        let environment = environment(container)
        let told = environment[ServiceSettings.port.name] ?? ServiceSettings.port.defaultText ?? ""
        var problems: [String] = []
        if port("http", container).map(String.init) != told {
            problems.append("its port http is not PORT, \(told)")
        }
        if environment[ServiceSettings.host.name] != "0.0.0.0" {
            problems.append("HTTP_HOST is not 0.0.0.0: probes come from other addresses")
        }
        return problems
    }

    private func probes(_ container: JSONValue) -> [String] {
        let wanted = [
            "startupProbe": HealthState.Probe.startup, "readinessProbe": .ready, "livenessProbe": .live,
        ]
        return wanted.sorted { $0.key < $1.key }.compactMap { name, probe in
            let request = container[name, "httpGet"]
            let path = "/health/\(probe.rawValue)"
            guard request?["path"]?.string == path else {
                return "\(name) asks for \(request?["path"]?.excerpt ?? "nothing"), not \(path)"
            }
            guard let port = request?["port"]?.string, self.port(port, container) != nil else {
                return "\(name) asks at a port that the container has not"
            }
            return nil
        }
    }

    // MARK: Rights and end

    private func rights(_ container: JSONValue) -> [String] {
        let context = container["securityContext"]
        let wanted: [(String, JSONValue)] = [
            ("allowPrivilegeEscalation", .bool(false)), ("privileged", .bool(false)),
            ("readOnlyRootFilesystem", .bool(true)),
            ("capabilities", .object(["drop": .array([.string("ALL")])])),
        ]
        return wanted.filter { context?[$0.0] != $0.1 }
            .map { "securityContext.\($0.0) is \(context?[$0.0]?.excerpt ?? "not set")" }
    }

    private func account(_ workload: JSONValue) -> [String] {
        let spec = workload.podSpec
        var problems: [String] = []
        if spec?["securityContext", "runAsNonRoot"] != .bool(true) { problems.append("it may run as root") }
        if spec?["securityContext", "seccompProfile", "type"] != .string("RuntimeDefault") {
            problems.append("it has no seccomp profile")
        }
        let account = spec?["serviceAccountName"]?.string ?? ""
        if manifests.first("ServiceAccount", account) == nil {
            problems.append("there is no ServiceAccount \(account)")
        }
        let isBound = manifests.all("RoleBinding").contains { binding in
            (binding["subjects"]?.items ?? []).contains { $0.name == account }
        }
        if !isBound, spec?["automountServiceAccountToken"] != .bool(false) {
            problems.append("its account may do nothing, and its token is mounted")
        }
        // A static member sends no LeaveGroup: each one that is scaled in would hold its partitions.
        let isNumbered = workload.kind == "StatefulSet"
        for name in ["POOL_WORKER_ID", "CONNECTOR_MEMBER_ID"] where !isNumbered {
            if workload.containers.contains(where: { environment($0)[name] != nil }) {
                problems.append("\(name) is for a StatefulSet")
            }
        }
        return problems
    }

    /// The cluster waits longer than the program may take.
    private func grace(_ container: JSONValue, _ workload: JSONValue) -> [String] {
        let name = ServiceSettings.shutdownGrace.name
        let own = Double(environment(container)[name] ?? ServiceSettings.shutdownGrace.defaultText ?? "") ?? 0
        let before = container["lifecycle", "preStop", "exec", "command"]?.items.last?.string
            .flatMap { Double($0) }
        let given = workload.podSpec?["terminationGracePeriodSeconds"]?.integer ?? 30
        let needed = own + (before ?? 0) + 5
        return Double(given) >= needed ? [] : ["it gets \(given) s to end, and may need \(needed)"]
    }

    /// What the queue-manager is told about Jobs.
    private func jobs() -> [String] {
        guard let manager = manifests.first("Deployment", "queue-manager")?.containers.first else {
            return []
        }
        let environment = environment(manager)
        var problems: [String] = []
        let account = environment[KubernetesSettings.serviceAccount.name] ?? "default"
        if manifests.first("ServiceAccount", account) == nil {
            problems.append("\(KubernetesSettings.serviceAccount.name) names \(account), which is not there")
        }
        let stop = KubernetesSettings.stopGrace
        let given = Double(environment[stop.name] ?? stop.defaultText ?? "") ?? 0
        let worker = manifests.first("ConfigMap", environment["K8S_CONFIG_MAP"] ?? "")?["data"]?.texts ?? [:]
        let grace = ServiceSettings.shutdownGrace
        let own = Double(worker[grace.name] ?? grace.defaultText ?? "") ?? 0
        if given < own + 5 { problems.append("\(stop.name) is \(given), a worker may need \(own + 5)") }
        return problems + scrapedJobs(environment)
    }

    /// Prometheus finds the pods of Jobs, and may reach them.
    private func scrapedJobs(_ environment: [String: String]) -> [String] {
        let port = KubernetesSettings.httpPort
        let told = environment[port.name] ?? port.defaultText ?? ""
        let labels = JobLabels.everyJob(
            installation: Installation(
                name: environment[KubernetesSettings.installation.name] ?? "", database: "any"))
        let policies = manifests.all("NetworkPolicy").filter {
            $0["spec", "podSelector", "matchLabels"]?.matches(labels) ?? true
        }
        let open = policies.flatMap { $0["spec", "ingress"]?.items ?? [] }
            .flatMap { $0["ports"]?.items ?? [] }.compactMap { $0["port"]?.integer.map(String.init) }
        return manifests.all("PodMonitor").flatMap { monitor in
            var problems: [String] = []
            if monitor["spec", "selector", "matchLabels"]?.matches(labels) != true {
                problems.append("\(monitor.title) does not select the pods of Jobs")
            }
            if !open.contains(told) {
                problems.append("Jobs listen at \(told), where \(monitor.title) may not ask")
            }
            return problems
        }
    }

    // MARK: References

    private func selected(_ labels: JSONValue?) -> [JSONValue] {
        manifests.workloads.filter { labels?.matches($0.podLabels) ?? false }
    }

    private func services() -> [String] {
        var problems: [String] = []
        for service in manifests.all("Service") {
            let pods = selected(service["spec", "selector"])
            if pods.isEmpty { problems.append("\(service.title) selects no pods") }
            for port in service["spec", "ports"]?.items ?? [] {
                let target = port["targetPort"]?.string ?? ""
                for container in pods.flatMap(\.containers) where self.port(target, container) == nil {
                    problems.append(
                        "\(service.title) leads to a port \(target) that \(container.name) has not")
                }
            }
        }
        for ingress in manifests.all("Ingress") {
            if (ingress["spec", "tls"]?.items ?? []).isEmpty {
                problems.append("\(ingress.title) has no TLS")
            }
            let paths = (ingress["spec", "rules"]?.items ?? []).flatMap { $0["http", "paths"]?.items ?? [] }
            for backend in paths.compactMap({ $0["backend", "service"] }) {
                let ports = manifests.first("Service", backend.name)?["spec", "ports"]?.items ?? []
                if !ports.contains(where: { $0.name == backend["port", "name"]?.string }) {
                    problems.append("\(ingress.title) leads to a service \(backend.name) that is not there")
                }
            }
        }
        return problems
    }

    /// Who may come in comes to a port that is listened on, and somebody is meant.
    private func policies() -> [String] {
        var problems: [String] = []
        for policy in manifests.all("NetworkPolicy") {
            let pods = selected(policy["spec", "podSelector", "matchLabels"])
            if pods.isEmpty { problems.append("\(policy.title) is about no pods") }
            let known = Set(
                pods.flatMap(\.containers).flatMap { $0["ports"]?.items ?? [] }
                    .compactMap { $0["containerPort"]?.integer })
            let ports = (policy["spec", "ingress"]?.items ?? []).flatMap { $0["ports"]?.items ?? [] }
            for port in ports.compactMap({ $0["port"]?.integer }) where !known.contains(port) {
                problems.append("\(policy.title) lets in at \(port), where nobody listens")
            }
        }
        return problems
    }

    private func monitors() -> [String] {
        manifests.all("PodMonitor").flatMap { monitor in
            let pods = selected(monitor["spec", "selector", "matchLabels"])
            var problems = pods.isEmpty ? ["\(monitor.title) selects no pods"] : []
            for endpoint in monitor["spec", "podMetricsEndpoints"]?.items ?? [] {
                if endpoint["path"]?.string != Self.metricsPath {
                    problems.append("\(monitor.title) scrapes \(endpoint["path"]?.excerpt ?? "/")")
                }
                let name = endpoint["port"]?.string ?? ""
                for container in pods.flatMap(\.containers) where port(name, container) == nil {
                    problems.append("\(monitor.title) scrapes a port \(name) that \(container.name) has not")
                }
            }
            return problems
        }
    }

    private func references() -> [String] {
        var problems: [String] = []
        for budget in manifests.all("PodDisruptionBudget") {
            if selected(budget["spec", "selector", "matchLabels"]).isEmpty {
                problems.append("\(budget.title) selects no pods")
            }
        }
        if !manifests.all("Secret").isEmpty { problems.append("a Secret is in the files") }
        return problems
    }
}
