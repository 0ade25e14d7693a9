import Foundation
import HTTPBridge
import ServiceRuntime
import Synchronization
import Testing

/// The queue-manager's program as a child of the test, always on the same port.
final class QueueManagerProcess: Sendable {
    let base: String
    private let command: ChildProcess.Command
    private let process = Mutex<ChildProcess?>(nil)

    init(programs: String, folder: String, environment: [String: String], port: Int) {
        base = "http://127.0.0.1:\(port)"
        var environment = environment
        environment["PORT"] = String(port)
        environment["WORKER_PATH"] = "\(programs)/streamforge-worker"
        environment["WORKER_LOG_DIR"] = "\(folder)/logs/workers"
        environment["LEASE_SECONDS"] = "5"
        command = ChildProcess.Command(
            "\(programs)/queue-manager", environment: environment,
            logFile: "\(folder)/logs/queue-manager.log",
            diesWithParent: true)
    }

    /// Starts it and waits until it is ready.
    func start(_ http: HTTPClient) async throws {
        let child = try await ChildProcess.start(command)
        process.withLock { $0 = child }
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            let request = HTTPRequest(
                .get, "\(base)/health/ready", timeouts: HTTPTimeouts(connect: .seconds(1), whole: .seconds(2))
            )
            // No answer yet is what is waited for.
            if let answer = try? await http.execute(request), answer.status == 200 { return }
            try #require(child.exit == nil, "the queue-manager ended at its start")
            try await Task.sleep(for: .milliseconds(50))
        }
        throw TimeLimitError(last: nil)
    }

    /// SIGKILL, and waits until it is gone.
    func kill() async {
        let child = process.withLock { $0 }
        child?.signal(SIGKILL)
        _ = await child?.waitForExit(timeout: .seconds(10))
    }

    func stop() async {
        let child = process.withLock { $0 }
        await child?.terminate(grace: .seconds(15))
    }
}
