internal import Foundation
internal import ServiceRuntime

/// A Python program that calculates the same as we do with other people's libraries: PyTorch, scikit-learn, scipy.
///
/// It gets one JSON file and writes another. `scripts/setup --tests` installs the libraries.
package struct ReferencePython: Sendable {
    package static let skipReason = "STREAMFORGE_TEST_PYTHON is not set; scripts/test sets it"

    private static var environment: [String: String] { ProcessInfo.processInfo.environment }
    private static var python: String? {
        environment["STREAMFORGE_TEST_PYTHON"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Whether tests that need it run; in CI they fail where it is missing.
    package static var isWanted: Bool { python != nil || environment["CI"] == "true" }

    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    private static func interpreter() throws -> String {
        guard let python else {
            throw Failure(description: "STREAMFORGE_TEST_PYTHON is not set, but CI is")
        }
        return python
    }

    /// Runs `script input.json output.json` and decodes what it wrote.
    ///
    /// - Parameter usesTorch: see ``run(_:arguments:usesTorch:)``.
    package static func run<Input: Encodable, Output: Decodable>(
        _ script: String, _ input: Input, usesTorch: Bool = false, as _: Output.Type = Output.self
    ) async throws -> Output {
        let python = try interpreter()
        let folder = FileManager.default.temporaryDirectory.appending(path: "reference-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let files = ["input.json", "output.json", "log"].map { folder.appending(path: $0) }
        try JSONEncoder().encode(input).write(to: files[0])
        try await run(
            python, [script, files[0].path, files[1].path], usesTorch: usesTorch, log: files[2].path)
        return try JSONDecoder().decode(Output.self, from: Data(contentsOf: files[1]))
    }

    /// Runs a script and returns what it printed.
    ///
    /// - Parameter usesTorch: PyTorch is Debian's own package and needs Debian's numpy; then the numpy of
    ///   `Tests/requirements.txt` and what needs it are not to be had.
    @discardableResult
    package static func run(
        _ script: String, arguments: [String], usesTorch: Bool = false
    ) async throws -> String {
        let python = try interpreter()
        let log = FileManager.default.temporaryDirectory.appending(path: "reference-\(UUID().uuidString).log")
        defer { try? FileManager.default.removeItem(at: log) }
        try await run(python, [script] + arguments, usesTorch: usesTorch, log: log.path)
        return String(decoding: try Data(contentsOf: log), as: UTF8.self)
    }

    private static func run(
        _ python: String, _ arguments: [String], usesTorch: Bool, log: String
    ) async throws {
        var variables = [
            "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
        ]
        if usesTorch { variables["PYTHONPATH"] = "/usr/lib/python3/dist-packages" }
        let process = try await ChildProcess.start(
            ChildProcess.Command(python, arguments, environment: variables, logFile: log))
        let exit = await process.waitForExit(timeout: .seconds(150))
        if exit == nil { _ = await process.terminate(grace: .seconds(1)) }
        let printed = String(decoding: (try? Data(contentsOf: URL(filePath: log))) ?? Data(), as: UTF8.self)
        guard exit == .code(0) else {
            throw Failure(
                description: "\(arguments[0]) ended with \(exit.map { "\($0)" } ?? "no end"): \(printed)")
        }
    }
}
