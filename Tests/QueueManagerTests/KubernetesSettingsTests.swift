import Foundation
import ServiceRuntime
import TestSupport
import Testing
import Workflow

@testable import QueueManager

/// What Jobs are told of the engine's own settings.
struct KubernetesSettingsTests {
    @Test func `workers get what is set under its own name, also what came as a file`() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: uniqueName("brokers")).path
        try Data("kafka:9092\n".utf8).write(to: URL(fileURLWithPath: file))
        defer { try? FileManager.default.removeItem(atPath: file) }
        let environment = [
            "KAFKA_BOOTSTRAP_SERVERS_FILE": file, "LOG_LEVEL": "debug", "KAFKA_PASSWORD": "hidden",
            "POSTGRES_URL": "postgres://u:hidden@db/d", "K8S_IMAGE": "image", "LEASE_SECONDS": "12",
        ]
        let variables = try KubernetesSettings.workerEnvironment(from: environment, hasConfigMap: false)
        #expect(
            variables == [
                "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "LOG_LEVEL": "debug", "LEASE_SECONDS": "12",
            ])
    }

    @Test func `where models go is told, but for the secret key, which Jobs take from the Secret`() throws {
        let environment = [
            "MINIO_ENDPOINT": "http://minio:9000", "S3_BUCKET": "models", "S3_ACCESS_KEY": "anna",
            "S3_SECRET_KEY": "hidden", "LEASE_SECONDS": "12",
        ]
        #expect(
            try KubernetesSettings.workerEnvironment(from: environment, hasConfigMap: false) == [
                "S3_ENDPOINT": "http://minio:9000", "S3_BUCKET": "models", "S3_ACCESS_KEY": "anna",
                "LEASE_SECONDS": "12",
            ])
        #expect(KubernetesSettings.secretNames.contains("S3_SECRET_KEY"))
    }

    @Test func `images are by target`() throws {
        let images = KubernetesSettings.images
        #expect(
            images.parse("graph-builder=r:5000/graph:1, gnn-infer=r/gnn@sha256:0a1b")
                == [.graphBuilder: "r:5000/graph:1", .gnnInfer: "r/gnn@sha256:0a1b"])
        for text in ["graph=image", "graph-builder", "graph-builder=", "gnn-infer=a,gnn-infer=b"] {
            #expect(images.parse(text) == nil, "\(text)")
        }
    }

    @Test func `the lease is the engine's, wherever the other settings come from`() throws {
        let set = ["LEASE_SECONDS": "12", "LOG_LEVEL": "debug"]
        #expect(
            try KubernetesSettings.workerEnvironment(from: set, hasConfigMap: true)
                == ["LEASE_SECONDS": "12"])
        #expect(
            try KubernetesSettings.workerEnvironment(from: [:], hasConfigMap: true)
                == ["LEASE_SECONDS": "30"])
    }
}

/// The id that Jobs are marked with.
@Suite(.timeLimit(.minutes(2)))
struct InstallationTests {
    @Test func `a database has an id of its own, and keeps it`() async throws {
        let seen = Mutable<Set<String>>([])
        for _ in 0..<2 {
            try await withPostgres { pool in
                let store = EngineStore(pool)
                try await store.migrate()
                let id = try await store.installationID()
                try await store.migrate()
                #expect(try await store.installationID() == id)
                #expect(id.count == 16 && id.allSatisfy { $0.isHexDigit && !$0.isUppercase })
                seen.value.insert(id)
            }
        }
        #expect(seen.value.count == 2)
    }
}
