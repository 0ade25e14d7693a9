import Foundation
import ServiceRuntime
import TestSupport
import Testing

/// scripts/check-manifests on a real API server.
@Suite(.enabled(if: TestCluster.isWanted, Comment(rawValue: TestCluster.skipReason)), .timeLimit(.minutes(3)))
struct CheckManifestsTests {
    private struct Outcome {
        var exit: ChildProcess.Exit?
        var output: String
    }

    private func check(_ arguments: [String]) async throws -> Outcome {
        let python = try #require(
            ProcessInfo.processInfo.environment["STREAMFORGE_TEST_PYTHON"],
            "STREAMFORGE_TEST_PYTHON is not set")
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let log = folder.path("log")
        let script = projectFolder.appending(path: "scripts/lib/check_manifests.py").path
        let environment = [
            "KUBECONFIG": try #require(TestCluster.kubeconfig), "PATH": "/usr/bin:/bin",
            "HOME": folder.url.path,
            "KUBECTL": try #require(Kubectl.path),
        ]
        let process = try await ChildProcess.start(
            .init(python, [script] + arguments, environment: environment, logFile: log, diesWithParent: true))
        let exit = await process.waitForExit(timeout: .seconds(120))
        if exit == nil { _ = await process.terminate(grace: .seconds(1)) }
        return Outcome(exit: exit, output: try String(contentsOfFile: log, encoding: .utf8))
    }

    @Test func `a server takes all objects of kinds that it knows, and names the other kinds`() async throws {
        let all = try await check(["dev", "prod"])
        #expect(all.exit == .code(0), "\(all.output)")
        let strict = try await check(["--require-all", "dev", "prod"])
        let isComplete = !all.output.contains("unchecked, the server does not know it: ")
        #expect(strict.exit == .code(isComplete ? 0 : 1), "\(strict.output)")
    }

    @Test func `a field that does not exist, a value that is wrong and a kind nobody has are found`()
        async throws
    {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let yaml = try await Manifests.yaml(of: "overlays/dev")
        let spoilt = [
            "field.yaml": yaml.replacing("readinessProbe:", with: "readyProbe:"),
            "value.yaml": yaml.replacing("containerPort: 8000", with: "containerPort: 80000"),
            "kind.yaml": yaml.replacing("kind: NetworkPolicy", with: "kind: NetworkPolice"),
        ]
        for (name, text) in spoilt {
            try text.write(toFile: folder.path(name), atomically: true, encoding: .utf8)
        }
        let field = try await check([folder.path("field.yaml")])
        #expect(field.exit == .code(1) && field.output.contains("readyProbe"), "\(field.output)")
        let value = try await check([folder.path("value.yaml")])
        #expect(value.exit == .code(1) && value.output.contains("containerPort"), "\(value.output)")
        let kind = try await check(["--require-all", folder.path("kind.yaml")])
        #expect(kind.exit == .code(1) && kind.output.contains("NetworkPolice"), "\(kind.output)")
    }

    @Test func `an overlay that is not there is said to be missing`() async throws {
        let outcome = try await check(["staging"])
        #expect(
            outcome.exit == .code(2) && outcome.output.contains("overlays: dev, prod"), "\(outcome.output)")
    }
}
