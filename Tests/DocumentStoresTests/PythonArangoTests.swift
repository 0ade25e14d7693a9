import Foundation
import ServiceRuntime
import Testing

@testable import ArangoStandIn

/// Holds the stand-in to what ArangoDB's real driver, python-arango, makes of it.
@Suite(.timeLimit(.minutes(2)))
struct PythonArangoTests {
    private static let environment = ProcessInfo.processInfo.environment
    /// Set by `scripts/test`: a Python that has the packages of `Tests/requirements.txt`.
    private static var python: String? {
        environment["STREAMFORGE_TEST_PYTHON"].flatMap { $0.isEmpty ? nil : $0 }
    }
    private static var isCI: Bool { environment["CI"] == "true" }

    @Test(.enabled(if: python != nil || isCI, "STREAMFORGE_TEST_PYTHON is not set; scripts/test sets it"))
    func `python-arango works against the stand-in`() async throws {
        let python = try #require(Self.python, "CI must set STREAMFORGE_TEST_PYTHON")
        let script = try #require(Bundle.module.url(forResource: "python_arango_check", withExtension: "py"))
        let log = FileManager.default.temporaryDirectory
            .appendingPathComponent("python-arango-\(UInt32.random(in: 0...UInt32.max)).log")
        defer { try? FileManager.default.removeItem(at: log) }
        try await withStandIn(StandInArangoDB(password: "geheim")) { url, _ in
            let child = try await ChildProcess.start(
                ChildProcess.Command(
                    python, ["-I", script.path, url], environment: ["ARANGO_PASSWORD": "geheim"],
                    logFile: log.path))
            let exit = await child.waitForExit(timeout: .seconds(90))
            let output = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
            #expect(exit == .code(0), "\(output)")
            #expect(output.hasSuffix("ok\n"), "\(output)")
            if exit == nil { _ = await child.terminate(grace: .seconds(1)) }
        }
    }
}
