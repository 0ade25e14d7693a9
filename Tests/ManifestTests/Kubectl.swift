import Foundation
import ServiceRuntime
import Testing

/// The project's folder, found from this file.
let projectFolder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// Runs `kubectl`: the one that `KUBECTL` names, else the first in PATH (`scripts/setup --tests` installs one).
enum Kubectl {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    static let path: String? = {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["KUBECTL"], !path.isEmpty { return path }
        return (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/kubectl" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    /// Whether tests that need it run: where it is missing they are skipped, but in CI they fail.
    static let isWanted = path != nil || ProcessInfo.processInfo.environment["CI"] == "true"

    static let skipReason = "there is no kubectl: scripts/setup --tests installs one"

    /// - Parameters:
    ///   - arguments: no secrets.
    ///   - kubeconfig: the cluster to speak to, where that is needed.
    /// - Returns: what it wrote, also to standard error.
    @discardableResult
    static func run(
        _ arguments: [String], kubeconfig: String? = nil, timeout: Duration = .seconds(60)
    ) async throws -> String {
        let kubectl = try #require(path, "there is no kubectl, but CI is")
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let log = folder.path("log")
        var environment = ["PATH": "/usr/bin:/bin", "HOME": folder.url.path]
        environment["KUBECONFIG"] = kubeconfig
        let process = try await ChildProcess.start(
            .init(kubectl, arguments, environment: environment, logFile: log, diesWithParent: true))
        let exit = await process.waitForExit(timeout: timeout)
        if exit == nil { _ = await process.terminate(grace: .seconds(1)) }
        let output = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        guard exit == .code(0) else {
            let how = exit.map(\.description) ?? "no end after \(timeout)"
            throw Failure(description: "kubectl \(arguments.joined(separator: " ")): \(how): \(output)")
        }
        return output
    }
}

/// A folder of a test's own, for its user only.
struct TemporaryFolder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "manifests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: url, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    }

    func path(_ name: String) -> String { url.appending(path: name).path }
    func remove() { try? FileManager.default.removeItem(at: url) }
}
