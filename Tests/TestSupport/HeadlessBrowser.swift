internal import Foundation
internal import ServiceRuntime

/// A real browser without a window, for pages that people open.
package enum HeadlessBrowser {
    package static let skipReason =
        "chromium is not in PATH; scripts/setup --tests installs it where apt-get has it"

    /// Whether tests that need it run.
    package static var isThere: Bool { program != nil }

    private static let program: String? = {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return path.split(separator: ":").map { "\($0)/chromium" }.first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
    }()

    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    /// Opens a file, runs its scripts, and gives the page as it is then, with what the console was told.
    ///
    /// - Parameters:
    ///   - width: of the window, pixels.
    ///   - isDark: what the page learns of the reader's wish.
    package static func open(
        _ file: String, width: Int, isDark: Bool
    ) async throws -> (page: String, console: [String]) {
        guard let program else { throw Failure(description: skipReason) }
        let folder = FileManager.default.temporaryDirectory.appending(path: uniqueName("browser")).path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let command = ChildProcess.Command(
            program,
            [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--user-data-dir=\(folder)/profile", "--enable-logging=stderr",
                "--window-size=\(width),900", "--blink-settings=preferredColorScheme=\(isDark ? 0 : 1)",
                "--virtual-time-budget=2000", "--dump-dom", "file://\(file)",
            ], environment: ["HOME": folder, "PATH": "/usr/bin:/bin"], logFile: "\(folder)/log",
            diesWithParent: true)
        let process = try await ChildProcess.start(command)
        let exit = await process.waitForExit(timeout: .seconds(120))
        if exit == nil { _ = await process.terminate(grace: .seconds(1)) }
        let page = String(decoding: try Data(contentsOf: URL(filePath: "\(folder)/log")), as: UTF8.self)
        guard exit == .code(0) else {
            throw Failure(description: "chromium ended with \(exit.map { "\($0)" } ?? "no end"): \(page)")
        }
        return (page, page.split(separator: "\n").map(String.init).filter { $0.contains(":CONSOLE") })
    }
}
