import Foundation
import ServiceRuntime
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ProcessLimitsTests {
    @Test func `a child has the limits it was given, and keeps ours else`() async throws {
        let log = FileManager.default.temporaryDirectory.appending(path: "limits-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: log) }
        let limits = ProcessLimits(addressSpaceBytes: 1 << 30, openFiles: 123, fileBytes: 1 << 20)
        let child = try await ChildProcess.start(
            .init("/bin/cat", ["/proc/self/limits"], logFile: log, limits: limits))
        #expect(await child.waitForExit(timeout: .seconds(20)) == .code(0))
        let text = try String(contentsOfFile: log, encoding: .utf8)
        let lines = text.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
        #expect(lines.contains("Max address space 1073741824 1073741824 bytes"))
        #expect(lines.contains("Max open files 123 123 files"))
        #expect(lines.contains("Max file size 1048576 1048576 bytes"))
    }

    @Test func `names a limit that cannot be set, unless we are root`() {
        #expect(ProcessLimits().problem == nil && ProcessLimits(openFiles: 64).problem == nil)
        let isRoot = geteuid() == 0
        #expect((ProcessLimits(openFiles: 1 << 40).problem == nil) == isRoot)
    }
}
