import Foundation
import HTTPBridge
import LocalStack
import ServiceRuntime
import Testing
import Workflow

/// `streamforge up --pool 1` as people run it.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct PooledStackTests {
    private static let limit = Duration.seconds(120)

    @Test func `a dummy queue finishes in the pool of a local stack, and nothing is left`() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "e2e-\(UUID().uuidString)").path
        let mark = ["E2E_MARK": UUID().uuidString]
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var environment = ProcessInfo.processInfo.environment.merging(mark) { _, new in new }
        for name in ["POSTGRES_URL", "BINANCE_API_URL", "ARANGO_URL", "POOL_TARGETS"] {
            environment[name] = nil
        }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let stack = try await ChildProcess.start(
            .init(
                "\(StackPrograms.ownDirectory)/streamforge",
                ["up", "--pool", "1", "--port", "0", "--data-dir", "\(folder)/data"],
                environment: environment,
                logFile: "\(folder)/up.log", diesWithParent: true))
        do {
            try await runQueue(folder, stack)
        } catch {
            await stack.terminate(grace: .seconds(60))
            throw error
        }
        #expect(await stack.terminate(grace: .seconds(60)) == .code(0))
        #expect(ProcessTable.processes(withEnvironment: mark).isEmpty)
    }

    private func runQueue(_ folder: String, _ stack: ChildProcess) async throws {
        let http = HTTPClient()
        let api = QueueManagerAPI(base: try await address(folder, stack), http: http)
        let step: JSONValue = .object([
            "id": .string("try"), "target": .string("dummy-service"),
            "params": .object(["seconds": .integer(0)]),
        ])
        let id = try await api.start(
            .object([
                "symbol": .string("BTCUSDT"), "time_range": .string("2024-08-01:2024-08-01"),
                "steps": .array([step]),
            ]))
        let queue = try await api.waitUntilFinal(id)
        #expect(queue["status"]?.string == "finished")
        #expect(queue.instance("try", "BTCUSDT")?["attempt"]?.integer == 1)
        // A process of its own would have left a log.
        let logs = (try? FileManager.default.contentsOfDirectory(atPath: "\(folder)/data/logs/workers")) ?? []
        #expect(!logs.contains { $0.hasPrefix(id) })
        await http.close()
    }

    /// Where the queue-manager is, once the stack is ready.
    private func address(_ folder: String, _ stack: ChildProcess) async throws -> String {
        let deadline = ContinuousClock.now + Self.limit
        while ContinuousClock.now < deadline {
            try #require(stack.exit == nil, "the stack ended: \(log(folder))")
            let file = (try? String(contentsOfFile: "\(folder)/data/addresses.env", encoding: .utf8)) ?? ""
            let line = file.split(separator: "\n").first { $0.hasPrefix("STREAMFORGE_URL=") }
            if let line { return String(line.dropFirst("STREAMFORGE_URL=".count)) }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw TimeLimitError(last: .string(log(folder)))
    }

    private func log(_ folder: String) -> String {
        (try? String(contentsOfFile: "\(folder)/up.log", encoding: .utf8)) ?? ""
    }
}
