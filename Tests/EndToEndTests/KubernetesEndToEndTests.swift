import Foundation
import HTTPBridge
import KubernetesBridge
import ServiceRuntime
import TestSupport
import Testing
import Workflow

/// Whole queues whose attempts are Jobs of a real cluster. Its pods must reach this machine's loopback, as they do
/// where they are local processes; `STREAMFORGE_TEST_PODS=elsewhere` says that they do not.
@Suite(
    .serialized,
    .enabled(
        if: TestCluster.isWanted
            && ProcessInfo.processInfo.environment["STREAMFORGE_TEST_PODS"] != "elsewhere",
        Comment(rawValue: TestCluster.skipReason)),
    .timeLimit(.minutes(5)))
struct KubernetesEndToEndTests {
    private static let symbols = ["BTCUSDT", "1INCHUSDT"]
    /// 2024-08-01 00:00 UTC.
    private static let firstOpenTime: Int64 = 1_722_470_400_000

    /// What a test sees of the cluster: its own Jobs.
    private struct Cluster: Sendable {
        let client: KubernetesClient
        let installation: String

        func jobs() async throws -> [JobObject] { try await client.list(.jobs, selector).items }
        func pods() async throws -> [PodObject] { try await client.list(.pods, selector).items }

        private var selector: LabelSelector {
            LabelSelector(["app": "streamforge", "streamforge.io/installation": installation])
        }

        /// The running pod of an instance.
        func pod(of step: String, _ symbol: String) async throws -> PodObject? {
            try await pods().first {
                $0.metadata.labels["streamforge.io/step"] == step
                    && $0.metadata.labels["streamforge.io/instance"] == symbol
                    && $0.status?.phase == "Running"
            }
        }

        func untilNothingIsLeft() async throws {
            let deadline = ContinuousClock.now + .seconds(60)
            while ContinuousClock.now < deadline {
                let (jobs, pods) = (try await jobs(), try await pods())
                if jobs.isEmpty && pods.isEmpty { return }
                try await Task.sleep(for: .milliseconds(100))
            }
            Issue.record(
                "left: \(try await jobs().map(\.metadata.name)) \(try await pods().map(\.metadata.name))")
        }
    }

    private func withCluster(
        _ body: @escaping @Sendable (Rig, Cluster) async throws -> Void
    ) async throws {
        let kubeconfig = try #require(TestCluster.kubeconfig, "KUBECONFIG is not set")
        let client = KubernetesClient(try Kubeconfig.read(kubeconfig))
        let installation = uniqueName("e2e")
        let settings = [
            // Small pages make records flow evenly under a pace.
            "EXCHANGE_PAGE_ROWS": "100",
            "LAUNCHER": "kubernetes", "KUBECONFIG": kubeconfig, "K8S_INSTALLATION": installation,
            "K8S_SECRET": installation, "K8S_WORKER_HTTP_PORT": "0", "K8S_STOP_SECONDS": "5",
            "K8S_IMAGE": ProcessInfo.processInfo.environment["STREAMFORGE_TEST_IMAGE"]
                ?? "registry/streamforge/worker:test",
        ]
        try await Rig.with(settings: settings) { rig in
            let url = try #require(rig.environment["POSTGRES_URL"])
            let secret = JSONValue.object([
                "apiVersion": .string("v1"), "kind": .string("Secret"),
                "metadata": .object(["name": .string(installation)]),
                "stringData": .object(["POSTGRES_URL": .string(url)]),
            ])
            let made = try await client.create(
                .secrets, name: installation, json: MessageCodec.encode(secret))
            let cluster = Cluster(client: client, installation: installation)
            let outcome: Result<Void, any Error>
            do {
                outcome = .success(try await body(rig, cluster))
            } catch {
                outcome = .failure(error)
            }
            try await client.delete(.secrets, name: installation, uid: made.metadata.uid, .background)
            for job in try await cluster.jobs() {
                try? await client.delete(
                    .jobs, name: job.metadata.name, uid: job.metadata.uid, .background)
            }
            try outcome.get()
        }
        await client.close()
    }

    private func log(
        _ rig: Rig, _ queue: String, _ instance: String, _ query: String
    ) async throws -> HTTPResponse {
        try await rig.http.execute(
            HTTPRequest(.get, "\(rig.api.base)/queues/\(queue)/instances/\(instance)/log?\(query)"))
    }

    private func expectAgreement(_ rig: Rig, days: Int64) async throws {
        for symbol in Self.symbols {
            let served = try await rig.servedDigest(symbol, from: Self.firstOpenTime, days: days)
            #expect(try await rig.storedDigest(symbol, firstDay: "2024-08-01") == served)
        }
    }

    @Test func `two symbols run as four Jobs, their logs stay and they do not`() async throws {
        try await withCluster { rig, cluster in
            let id = try await rig.api.start(Self.symbols, days: "2024-08-01:2024-08-02")
            let queue = try await rig.api.waitUntilFinal(id)
            #expect(queue["status"]?.string == "finished")
            try await expectAgreement(rig, days: 2)
            #expect(queue.instances.map { $0["attempt"]?.integer } == [1, 1, 1, 1])
            try await cluster.untilNothingIsLeft()

            let kept = try await log(rig, id, "BTCUSDT", "step=load")
            #expect(kept.status == 200)
            #expect(String(decoding: kept.body, as: UTF8.self).contains(id))
            #expect(kept.headers["Streamforge-Attempt"] == "1")
            #expect(try await log(rig, id, "BTCUSDT", "").status == 400)
            #expect(try await log(rig, id, "BTCUSDT", "step=load&attempt=2").status == 404)
            #expect(try await log(rig, id, "NOSUCH", "").status == 404)
        }
    }

    @Test func `a pod and a Job deleted while records flow are followed by other attempts`() async throws {
        try await withCluster { rig, cluster in
            // 40 s of records: what is deleted is under way, also on a busy machine.
            try await rig.setPace(50)
            let id = try await rig.api.start(Self.symbols, days: "2024-08-01:2024-08-07")
            // Each in its own time: on a busy machine one symbol may be through before the other begins.
            async let pod: Void = {
                try await untilStoring("BTCUSDT", id, rig)
                let pod = try #require(try await cluster.pod(of: "load", "BTCUSDT")).metadata
                try await cluster.client.delete(.pods, name: pod.name, uid: pod.uid, .background)
            }()
            async let job: Void = {
                try await untilStoring("1INCHUSDT", id, rig)
                let job = try #require(
                    try await cluster.jobs().map(\.metadata).first {
                        $0.labels["streamforge.io/step"] == "store"
                            && $0.labels["streamforge.io/instance"] == "1INCHUSDT"
                    })
                try await cluster.client.delete(.jobs, name: job.name, uid: job.uid, .background)
            }()
            _ = try await (pod, job)
            let queue = try await rig.api.waitUntilFinal(id)
            #expect(queue["status"]?.string == "finished")
            #expect((queue.instance("load", "BTCUSDT")?["attempt"]?.integer ?? 0) >= 2)
            #expect((queue.instance("store", "1INCHUSDT")?["attempt"]?.integer ?? 0) >= 2)
            try await expectAgreement(rig, days: 7)
            try await cluster.untilNothingIsLeft()
        }
    }

    /// Some records of a symbol are stored, and not all.
    private func untilStoring(_ symbol: String, _ id: String, _ rig: Rig) async throws {
        _ = try await rig.api.wait(for: id) { queue in
            (1..<2016).contains(queue.instance("store", symbol)?["records_read"]?.integer ?? 0)
        }
    }

    @Test func `the queue-manager is killed while Jobs run, and the next one goes on with them`() async throws
    {
        try await withCluster { rig, cluster in
            try await rig.setPace(200)
            let id = try await rig.api.start(Self.symbols, days: "2024-08-01:2024-08-07")
            _ = try await rig.api.wait(for: id) { queue in
                (1..<2016).contains(queue.instance("store", "BTCUSDT")?["records_read"]?.integer ?? 0)
            }
            await rig.manager.kill()
            try await rig.manager.start(rig.http)
            let queue = try await rig.api.waitUntilFinal(id)
            #expect(queue["status"]?.string == "finished")
            #expect(queue.instances.map { $0["attempt"]?.integer } == [1, 1, 1, 1])
            try await expectAgreement(rig, days: 7)
            try await cluster.untilNothingIsLeft()
        }
    }

    @Test func `terminating a queue leaves no Job and no pod`() async throws {
        try await withCluster { rig, cluster in
            try await rig.setPace(100)
            let id = try await rig.api.start(Self.symbols, days: "2024-08-01:2024-08-07")
            _ = try await rig.api.wait(for: id) { queue in
                queue.instances.allSatisfy { $0["status"]?.string == "running" }
            }
            try await rig.api.ask("terminate", of: id)
            let queue = try await rig.api.waitUntilFinal(id)
            #expect(queue["status"]?.string == "stopped")
            try await cluster.untilNothingIsLeft()
        }
    }
}
