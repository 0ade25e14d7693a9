import Foundation
import HTTPBridge
import KafkaBridge
import LocalStack
import ServiceRuntime
import TestSupport
import Testing
import Workflow

/// The broker stops answering for longer than the lease, then is back.
@Suite(.timeLimit(.minutes(2)))
struct BrokerAwayTests {
    @Test func `holds back writes while its heartbeats do not arrive, and goes on when they do`() async throws
    {
        try await withBrokerProcess { broker, stop, resume in
            try await WorkerStage.with(broker) { stage in
                let worker = try await stage.launch(stage.environment(records: 10_000_000, lease: "1.5"))
                let port = try await stage.port()
                _ = try await stage.events { $0.status == .loading && $0.recordsWritten > 0 }

                stop()
                _ = try await stage.until("it holds back writes") {
                    stage.log.contains("Held back writes") ? true : nil
                }
                let held = try await written(port)
                // Two hundred times what a tick of the work takes.
                try await Task.sleep(for: .milliseconds(500))
                #expect(try await written(port) == held)

                resume()
                _ = try await stage.until("it goes on") { try await written(port) > held + 10 ? true : nil }
                kill(worker.pid, SIGTERM)
                let exit = await worker.waitForExit(timeout: WorkerStage.limit)
                #expect(exit == .code(ExitCode.interrupted.rawValue))
                #expect(try await stage.restOfEvents().last?.status == .interrupted)
            }
        }
    }

    /// What the worker's metrics say.
    private func written(_ port: Int) async throws -> Double {
        let client = HTTPClient()
        let answer = try await client.execute(HTTPRequest(.get, "http://127.0.0.1:\(port)/metrics"))
        await client.close()
        let lines = String(decoding: answer.body, as: UTF8.self).split(separator: "\n")
        let line = lines.first { $0.hasPrefix("worker_records_written ") }
        return Double(line?.split(separator: " ").last ?? "") ?? 0
    }

    /// Runs `body` with a broker of its own, and what stops and continues it.
    private func withBrokerProcess(
        _ body: (KafkaConnection, _ stop: () -> Void, _ resume: () -> Void) async throws -> Void
    ) async throws {
        var choice = KafkaBroker.Choice(environment: ProcessInfo.processInfo.environment)
        // A broker that others use is not ours to stop.
        choice.connection = nil
        let folder = FileManager.default.temporaryDirectory.appending(path: uniqueName("broker")).path
        let broker = try await KafkaBroker.start(choice, directory: folder, diesWithParent: true)
        let outcome: Result<Void, any Error>
        do {
            // The whole group: a broker's start script has the broker as a child.
            let pid = try #require(broker.pid)
            outcome = .success(
                try await body(broker.connection, { kill(-pid, SIGSTOP) }, { kill(-pid, SIGCONT) }))
        } catch {
            outcome = .failure(error)
        }
        if let pid = broker.pid { kill(-pid, SIGCONT) }
        await broker.stop(grace: .seconds(5))
        try? FileManager.default.removeItem(atPath: folder)
        try outcome.get()
    }
}
