import ArangoConnector
import Foundation
import QueueManager
import ServiceRuntime
import Testing
import WorkerKit
import Workflow

/// docker/compose.yaml and docker/Dockerfile say what the code does.
@Suite struct ComposeTests {
    private static func services() throws -> [String: JSONValue] {
        let file = projectFolder.appending(path: "docker/compose.yaml")
        let documents = try Manifests(yaml: String(contentsOf: file, encoding: .utf8)).objects
        return try #require(documents.first?["services"]?.members)
    }

    private static let tables = [
        "queue-manager": QueueManagerSettings.table, "pool": PoolProgram.table,
        "connector": SharedConnectorProgram.table,
    ]

    @Test(arguments: tables.keys.sorted())
    func `a program's variables are its settings, and it would start with them`(service: String) throws {
        let table = try #require(Self.tables[service])
        var environment: [String: String] = [:]
        for (name, value) in try #require(Self.services()[service]?["environment"]?.members) {
            let text = try #require(value.string, "\(name) is no text")
            let isFile = name.hasSuffix("_FILE")
            let setting = isFile ? String(name.dropLast("_FILE".count)) : name
            let known = try #require(
                table.settings.first { $0.name == setting }, "\(table.program) has no setting \(setting)")
            #expect(known.isSecret == isFile, "secrets come from files, and only they: \(name)")
            // `${NAME:-value}`: what holds when nobody sets it.
            let fallback = text.wholeMatch(of: /\$\{\w+:-(.*)\}/).map { String($0.output.1) }
            environment[setting] = isFile ? "stand-in" : fallback ?? text
        }
        let values = try SettingsReader(environment: environment).read(table)
        #expect(values[ServiceSettings.host] == "0.0.0.0")
        #expect(values[ServiceSettings.port] == 8_000)
    }

    @Test func `models go to the MinIO beside it, into a bucket that is made`() throws {
        let services = try Self.services()
        let told = try #require(services["queue-manager"]?["environment"])
        let minio = try #require(services["minio"])
        #expect(told["S3_ENDPOINT"]?.string == "http://minio:9000")
        #expect(told["S3_ACCESS_KEY"] == minio["environment", "MINIO_ROOT_USER"])
        #expect(told["S3_SECRET_KEY_FILE"] == minio["environment", "MINIO_ROOT_PASSWORD_FILE"])
        let command = try #require(services["minio-bucket"]?["command"]?.items.first?.string)
        let bucket = try #require(told["S3_BUCKET"]?.string)
        let user = try #require(told["S3_ACCESS_KEY"]?.string)
        #expect(command.contains("mc mb --ignore-existing store/\(bucket)"))
        #expect(command.contains("://\(user):$$(cat /run/secrets/minio_password)@minio:9000"))
    }

    @Test func `Prometheus asks each of our programs`() throws {
        let file = projectFolder.appending(path: "docker/prometheus.yaml")
        let jobs = try Manifests(yaml: String(contentsOf: file, encoding: .utf8)).objects.first?[
            "scrape_configs"]
        let names = Set((jobs?.items ?? []).compactMap { $0["job_name"]?.string })
        let ours = try Self.services().filter { $0.value["image"]?.string?.hasPrefix("streamforge/") == true }
        #expect(names == Set(ours.keys) && names == Set(Self.tables.keys))
    }

    @Test func `every port is bound to loopback`() throws {
        let ports = try Self.services().values.flatMap { $0["ports"]?.items ?? [] }.compactMap(\.string)
        #expect(ports.count >= 7)
        #expect(ports.allSatisfy { $0.hasPrefix("127.0.0.1:") }, "\(ports)")
    }

    @Test func `no service has a password in its variables`() throws {
        for (service, value) in try Self.services() {
            for name in (value["environment"]?.members ?? [:]).keys where name.contains("PASSWORD") {
                #expect(name.hasSuffix("_FILE"), "\(service): \(name)")
            }
        }
    }

    @Test(.enabled(if: Tool.path("hadolint") != nil, "hadolint is not installed: scripts/setup --tests"))
    func `hadolint has nothing to say about the Dockerfile`() async throws {
        let file = projectFolder.appending(path: "docker/Dockerfile").path
        try await Tool.run(try #require(Tool.path("hadolint")), [file])
    }

    @Test func `the image is built of the package's programs and listens where the programs do`() throws {
        let folder = projectFolder.appending(path: "docker")
        let dockerfile = try String(contentsOf: folder.appending(path: "Dockerfile"), encoding: .utf8)
        let package = try String(contentsOf: projectFolder.appending(path: "Package.swift"), encoding: .utf8)
        let products = package.matches(of: /\.executable\(name: "([^"]+)"/).map { String($0.output.1) }
        let built = try #require(dockerfile.firstMatch(of: /for product in ([a-z -]+);/)).output.1
        #expect(built.split(separator: " ").map(String.init).sorted() == products.sorted())
        for product in products {
            #expect(dockerfile.contains(" AS runtime-\(product)\n"), "PRODUCT=\(product) finds no stage")
        }
        #expect(dockerfile.contains("\nFROM runtime-${PRODUCT} AS product\n"))
        let port = try #require(ServiceSettings.port.defaultText)
        #expect(dockerfile.contains("EXPOSE \(port)\n"))
        let health = try String(contentsOf: folder.appending(path: "healthcheck"), encoding: .utf8)
        #expect(
            health.contains("GET /health/\(HealthState.Probe.live.rawValue) ")
                && health.contains(":-\(port)}"))
    }

    @Test func `the image is built with the libraries that are set up everywhere else`() throws {
        func words(_ path: String) throws -> Set<String> {
            let text = try String(contentsOf: projectFolder.appending(path: path), encoding: .utf8)
            return Set(text.split { $0.isWhitespace || $0 == ";" }.map(String.init))
        }
        let setup = try words("scripts/setup").filter { $0.hasPrefix("lib") && $0.hasSuffix("-dev") }
        var image = try words("docker/Dockerfile")
        // Made in a stage of its own.
        image.formUnion(
            image.compactMap { $0.wholeMatch(of: /\.\.\/(.+)_\*\.deb/).map { String($0.output.1) } })
        #expect(setup.count >= 5)
        #expect(setup.isSubset(of: image), "missing: \(setup.subtracting(image).sorted())")
        // Which BLAS libtorch calculates with is decided by what is there when it is installed.
        #expect(image.contains("libopenblas0-pthread"))
    }
}
