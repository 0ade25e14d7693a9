import Foundation
import ServiceRuntime
import TestSupport

/// A network that cuts connections in the middle of what a client sends: see `cutting_proxy.py`.
struct CuttingProxy: Sendable {
    let port: Int
    private let log: String

    /// - Parameters:
    ///   - port: the server's.
    ///   - bytes: a connection is reset when so many were sent over it.
    ///   - cuts: how often; connections after that are left alone.
    static func run(
        to port: Int, bytes: Int, cuts: Int, _ body: (CuttingProxy) async throws -> Void
    ) async throws {
        let log = FileManager.default.temporaryDirectory.appending(path: "proxy-\(UUID().uuidString).log")
            .path
        defer { try? FileManager.default.removeItem(atPath: log) }
        guard let script = Bundle.module.path(forResource: "cutting_proxy", ofType: "py") else {
            throw StageError("cutting_proxy.py is not among the resources of the tests")
        }
        let child = try await ChildProcess.start(
            ChildProcess.Command(
                "/usr/bin/python3", [script, "\(port)", "\(bytes)", "\(cuts)"],
                environment: ["PYTHONDONTWRITEBYTECODE": "1"], logFile: log, diesWithParent: true))
        do {
            try await body(CuttingProxy(port: try await firstLine(of: log, child), log: log))
        } catch {
            await child.terminate(grace: .seconds(5))
            throw error
        }
        await child.terminate(grace: .seconds(5))
    }

    /// Connections that were cut up to now.
    var cuts: Int { Self.lines(log).count { $0 == "cut" } }

    private static func lines(_ path: String) -> [Substring] {
        String(decoding: (try? Data(contentsOf: URL(filePath: path))) ?? Data(), as: UTF8.self)
            .split(separator: "\n")
    }

    private static func firstLine(of log: String, _ child: ChildProcess) async throws -> Int {
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline, child.exit == nil {
            if let port = lines(log).first.flatMap({ Int($0) }) { return port }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw StageError("cutting_proxy.py does not listen: \(lines(log))")
    }
}
