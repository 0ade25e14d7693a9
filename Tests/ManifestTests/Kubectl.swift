import Foundation
import ServiceRuntime
import Testing

/// The project's folder, found from this file.
let projectFolder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// Runs `kubectl`: the one that `KUBECTL` names, else the first in PATH (`scripts/setup --tests` installs one).
enum Kubectl {
    static let path: String? = {
        let told = ProcessInfo.processInfo.environment["KUBECTL"] ?? ""
        return told.isEmpty ? Tool.path("kubectl") : told
    }()

    /// Whether tests that need it run: where it is missing they are skipped, but in CI they fail.
    static let isWanted = path != nil || ProcessInfo.processInfo.environment["CI"] == "true"

    static let skipReason = "there is no kubectl: scripts/setup --tests installs one"

    /// - Parameters:
    ///   - arguments: no secrets.
    ///   - kubeconfig: the cluster to speak to, where that is needed.
    /// - Returns: what it wrote, also to standard error.
    @discardableResult
    static func run(_ arguments: [String], kubeconfig: String? = nil) async throws -> String {
        let kubectl = try #require(path, "there is no kubectl, but CI is")
        return try await Tool.run(kubectl, arguments, kubeconfig.map { ["KUBECONFIG": $0] } ?? [:])
    }
}

/// A program that tests ask.
enum Tool {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// Where PATH has it.
    static func path(_ name: String) -> String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Waits for its end, 60 s at the most.
    ///
    /// - Returns: what it wrote, also to standard error.
    /// - Throws: ``Failure`` when it does not end well.
    @discardableResult
    static func run(
        _ program: String, _ arguments: [String], _ variables: [String: String] = [:]
    ) async throws -> String {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let log = folder.path("log")
        let environment = variables.merging(["PATH": "/usr/bin:/bin", "HOME": folder.url.path]) { own, _ in
            own
        }
        let process = try await ChildProcess.start(
            .init(program, arguments, environment: environment, logFile: log, diesWithParent: true))
        let exit = await process.waitForExit(timeout: .seconds(60))
        if exit == nil { _ = await process.terminate(grace: .seconds(1)) }
        let output = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        guard exit == .code(0) else {
            let how = exit.map(\.description) ?? "no end after 60 s"
            throw Failure(description: "\(program) \(arguments.joined(separator: " ")): \(how): \(output)")
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
