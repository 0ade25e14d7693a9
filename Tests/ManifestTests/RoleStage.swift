import Foundation
import HTTPBridge
import JobLaunchers
import KubernetesBridge
import Logging
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing
import Workflow

/// A namespace with the account, the Role and the binding that are shipped, and the launcher under that account.
struct RoleStage: Sendable {
    let namespace: String
    let admin: String
    /// What the launcher asked for, and the status it was answered with.
    let asked: AskedRights
    let launcher: KubernetesLauncher
    let sweeper: JobSweeper
    /// Attempts the engine is done with.
    let finished: FinishedJobs
    private let account: KubernetesConfiguration

    static let roleName = "streamforge-queue-manager"

    static func with(_ body: @Sendable (RoleStage) async throws -> Void) async throws {
        let admin = try #require(TestCluster.kubeconfig, "KUBECONFIG is not set")
        let namespace = uniqueName("role")
        try await Kubectl.run(["create", "namespace", namespace], kubeconfig: admin)
        let outcome: Result<Void, any Error>
        do {
            try await apply(to: namespace, admin)
            let stage = try await RoleStage(namespace, admin)
            outcome = await stage.run(body)
        } catch {
            outcome = .failure(error)
        }
        try await Kubectl.run(["delete", "namespace", namespace, "--wait=false"], kubeconfig: admin)
        try outcome.get()
    }

    /// The shipped objects, moved from their namespace to the test's.
    private static func apply(to namespace: String, _ admin: String) async throws {
        let yaml = try await Manifests.yaml(of: "base")
        let kinds = ["ServiceAccount", "Role", "RoleBinding"]
        let shipped = try Manifests(yaml: yaml).objects.filter { kinds.contains($0.kind) }
        #expect(shipped.count == 4)
        let list = JSONValue.object([
            "apiVersion": .string("v1"), "kind": .string("List"), "items": .array(shipped),
        ])
        let text = String(decoding: try MessageCodec.encode(list), as: UTF8.self)
            .replacing(#""namespace":"streamforge""#, with: #""namespace":"\#(namespace)""#)
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = folder.path("shipped.json")
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        try await Kubectl.run(["apply", "--filename", file], kubeconfig: admin)
    }

    private init(_ namespace: String, _ admin: String) async throws {
        // Asked by TokenRequest, as the cluster does for a pod.
        let token = try await Kubectl.run(
            ["create", "token", Self.roleName, "--namespace", namespace, "--duration", "10m"],
            kubeconfig: admin)
        var account = try Kubeconfig.read(admin)
        account.namespace = namespace
        account.credential = .token(token.trimmingCharacters(in: .whitespacesAndNewlines))
        account.identity = nil
        let (asked, finished) = (AskedRights(), FinishedJobs())
        var manifest = JobManifestSettings(
            image: TestImage.name, secret: "streamforge-test",
            installation: Installation(name: "test", database: namespace))
        manifest.httpPort = 0
        manifest.serviceAccount = "streamforge-worker"
        var configuration = KubernetesLauncher.Configuration(manifest: manifest)
        // An attempt without a pod is stuck soon, and then its Job's events are asked for.
        configuration.limits.place = .seconds(2)
        launcher = KubernetesLauncher(
            KubernetesClient(account, observe: { asked.note($0) }), configuration, logs: NoLogs(),
            observe: { _ in })
        sweeper = JobSweeper(
            launcher, finished: { (done: finished.among($0), unknown: []) }, oneAtATime: { try await $0() },
            observe: { _ in })
        (self.namespace, self.admin, self.account) = (namespace, admin, account)
        (self.asked, self.finished) = (asked, finished)
    }

    private func run(_ body: @Sendable (RoleStage) async throws -> Void) async -> Result<Void, any Error> {
        let group = ServiceGroup(
            services: [ClusterWatch(launcher, observe: { _ in })],
            logger: Logger(label: "watch") { _ in SwiftLogNoOpLogHandler() })
        let outcome = await withTaskGroup(of: Void.self) { tasks -> Result<Void, any Error> in
            tasks.addTask { try? await group.run() }
            do {
                try await body(self)
                await group.triggerGracefulShutdown()
                return .success(())
            } catch {
                await group.triggerGracefulShutdown()
                return .failure(error)
            }
        }
        await launcher.close()
        return outcome
    }

    // MARK: Asking the server

    /// Which of the rights the account has, by SelfSubjectAccessReviews of its own.
    func allowed(_ rights: [Right], in namespace: String) async throws -> Set<Right> {
        var http = HTTPClient.Configuration()
        http.caPEM = account.certificateAuthorities
        let client = HTTPClient(http)
        let outcome: Result<Set<Right>, any Error>
        do {
            var allowed: Set<Right> = []
            for right in rights where try await isAllowed(right, in: namespace, client) {
                allowed.insert(right)
            }
            outcome = .success(allowed)
        } catch {
            outcome = .failure(error)
        }
        await client.close()
        return try outcome.get()
    }

    private func isAllowed(_ right: Right, in namespace: String, _ client: HTTPClient) async throws -> Bool {
        let parts = right.resource.split(separator: "/").map(String.init)
        var attributes: [String: JSONValue] = [
            "namespace": .string(namespace), "verb": .string(right.verb), "group": .string(right.group),
            "resource": .string(parts[0]),
        ]
        if parts.count > 1 { attributes["subresource"] = .string(parts[1]) }
        let review = JSONValue.object([
            "apiVersion": .string("authorization.k8s.io/v1"), "kind": .string("SelfSubjectAccessReview"),
            "spec": .object(["resourceAttributes": .object(attributes)]),
        ])
        guard case .token(let token) = account.credential else { return false }
        let answer = try await client.execute(
            HTTPRequest(
                .post, account.server + "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                headers: ["Content-Type": "application/json", "Authorization": "Bearer \(token)"],
                body: MessageCodec.encode(review)))
        guard answer.status == 201,
            case .bool(let isAllowed)? = try MessageCodec.decode(JSONValue.self, from: answer.body)[
                "status", "allowed"]
        else { throw NoAnswer(status: answer.status) }
        return isAllowed
    }

    private struct NoAnswer: Error { var status: Int }

    /// Pods are refused from now on, as by a quota that is used up.
    func refusePods() async throws {
        try await Kubectl.run(
            ["create", "quota", "none", "--hard=pods=0", "--namespace", namespace], kubeconfig: admin)
        // It is not in force before its controller has seen it.
        try await Kubectl.run(
            [
                "wait", "quota/none", "--for=jsonpath={.status.hard.pods}=0", "--timeout=30s", "--namespace",
                namespace,
            ], kubeconfig: admin)
    }
}

/// The image whose `streamforge-worker` runs; on the testbed any that FAKELET_BIN knows.
enum TestImage {
    static var name: String {
        ProcessInfo.processInfo.environment["STREAMFORGE_TEST_IMAGE"] ?? "registry/streamforge/worker:test"
    }
}

/// What a client asked for.
final class AskedRights: Sendable {
    private let state = Mutex<(rights: Set<Right>, refused: [String])>(([], []))

    var rights: Set<Right> { state.withLock { $0.rights } }
    /// Requests that were forbidden, or not taken for those of the account.
    var refused: [String] { state.withLock { $0.refused } }

    func note(_ request: RequestObservation) {
        let right = Self.right(request)
        state.withLock { state in
            state.rights.insert(right)
            if [401, 403].contains(request.status) { state.refused.append("\(right)") }
        }
    }

    private static func right(_ request: RequestObservation) -> Right {
        if request.verb == "log" { return Right(group: "", resource: "pods/log", verb: "get") }
        let group = request.resource == "jobs" ? "batch" : ""
        return Right(group: group, resource: request.resource, verb: request.verb)
    }
}

/// Attempts that the engine of a test is done with.
final class FinishedJobs: Sendable {
    private let keys = Mutex<Set<JobKey>>([])

    func insert(_ key: JobKey) { keys.withLock { _ = $0.insert(key) } }
    func among(_ asked: [JobKey]) -> Set<JobKey> { keys.withLock { $0.intersection(asked) } }
}

private struct NoLogs: LogStore {
    func save(_ log: [UInt8], of key: JobKey) async throws(LogStoreError) {}
    func log(of key: JobKey) async throws(LogStoreError) -> [UInt8]? { nil }
}
