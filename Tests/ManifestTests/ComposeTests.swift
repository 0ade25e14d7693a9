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

    private static let tables = ["queue-manager": QueueManagerSettings.table, "pool": PoolProgram.table]

    @Test(arguments: ["queue-manager", "pool"])
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
        // These need OpenBLAS and libtorch, and have no image yet: docs/kubernetes.md says so.
        let learning: Set = ["streamforge-graph", "gnn-trainer"]
        #expect(Set(built.split(separator: " ").map(String.init)) == Set(products).subtracting(learning))
        #expect(learning.isSubset(of: products))
        let page = try String(
            contentsOf: projectFolder.appending(path: "docs/kubernetes.md"), encoding: .utf8)
        #expect(learning.allSatisfy { page.contains("`\($0)`") })
        let port = try #require(ServiceSettings.port.defaultText)
        #expect(dockerfile.contains("EXPOSE \(port)\n"))
        let health = try String(contentsOf: folder.appending(path: "healthcheck"), encoding: .utf8)
        #expect(
            health.contains("GET /health/\(HealthState.Probe.live.rawValue) ")
                && health.contains(":-\(port)}"))
    }
}
