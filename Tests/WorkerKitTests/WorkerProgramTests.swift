import Foundation
import HTTPBridge
import KafkaBridge
import LocalStack
import ServiceRuntime
import TestSupport
import Testing
import Workflow

/// A real worker process, a real broker.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct WorkerProgramTests {
    private func withStage(_ body: (WorkerStage) async throws -> Void) async throws {
        try await withBroker { try await WorkerStage.with($0, body) }
    }

    private func expectExit(
        _ process: ChildProcess, _ code: ExitCode, _ stage: WorkerStage,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        let exit = await process.waitForExit(timeout: WorkerStage.limit)
        #expect(exit == .code(code.rawValue), "\(stage.log)", sourceLocation: sourceLocation)
    }

    @Test func `reports started, progress and one finished, in order`() async throws {
        try await withStage { stage in
            let worker = try await stage.launch(stage.environment(records: 800))
            await expectExit(worker, .finished, stage)
            let events = try await stage.restOfEvents()
            #expect(events.first?.status == .started)
            #expect(events.dropFirst().dropLast().allSatisfy { $0.status == .loading })
            #expect(events.count >= 3, "two seconds of work give at least one report")
            let last = try #require(events.last)
            #expect(last.status == .finished && last.finished)
            #expect(last.recordsRead == 800 && last.recordsWritten == 800)
            #expect(events.filter(\.finished).count == 1)
            #expect(zip(events, events.dropFirst()).allSatisfy { $0.seq < $1.seq })
            #expect(last.instance == "BTCUSDT" && last.attempt == 2 && last.queueID == stage.queueID)
            #expect(last.traceparent == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            #expect(last.producer == "test-probe__abc123/BTCUSDT/2")
        }
    }

    @Test func `writes nothing when it was stopped before it began`() async throws {
        try await withStage { stage in
            try await stage.command(.stop, seq: 1, attempt: 1)
            try await stage.command(.stop, seq: 2, attempt: 2)
            let worker = try await stage.launch(stage.environment(records: 1_000_000))
            await expectExit(worker, .superseded, stage)
            let events = try await stage.restOfEvents()
            #expect(events.map(\.status) == [.interrupted])
            #expect(events.first?.reason == EndReason.superseded.rawValue)
        }
    }

    @Test func `begins when only other attempts were stopped, and commands before its offset do not count`()
        async throws
    {
        try await withStage { stage in
            try await stage.command(.stop, seq: 1)
            try await stage.command(.stop, seq: 2, attempt: 1)
            var environment = stage.environment(records: 1)
            environment["CONTROL_OFFSET"] = "1"
            let worker = try await stage.launch(environment)
            await expectExit(worker, .finished, stage)
        }
    }

    @Test func `answers a ping with both times`() async throws {
        try await withStage { stage in
            let worker = try await stage.launch(stage.environment(records: 1_000_000))
            _ = try await stage.events { $0.status == .started }
            try await stage.command(.ping, seq: 1)
            let pong = try #require(try await stage.events { $0.event == .pong }.last)
            #expect(pong.extra?["command_id"] == .string("command-1"))
            #expect(pong.extra?["ping_timestamp"] == .number(1_722_470_400.5))
            guard case .number(let answered)? = pong.extra?["pong_timestamp"] else {
                Issue.record("no pong_timestamp")
                return
            }
            #expect(abs(answered - Date().timeIntervalSince1970) < 60)
            #expect(pong.status == nil && !pong.finished)
            kill(worker.pid, SIGKILL)
            _ = await worker.waitForExit(timeout: WorkerStage.limit)
        }
    }

    @Test func `ends as interrupted, once, when a stop comes during the work`() async throws {
        try await withStage { stage in
            let worker = try await stage.launch(stage.environment(records: 1_000_000))
            _ = try await stage.events { $0.status == .loading && $0.recordsRead > 0 }
            try await stage.command(.stop, seq: 1, attempt: 2)
            try await stage.command(.stop, seq: 1, attempt: 2)
            await expectExit(worker, .interrupted, stage)
            let events = try await stage.restOfEvents()
            #expect(events.filter(\.finished).map(\.status) == [.interrupted])
            #expect(events.last?.finished == true)
            #expect(events.last?.reason == EndReason.stopped.rawValue)
            #expect((events.last?.recordsRead ?? 0) > 0)
        }
    }

    @Test(arguments: [SIGTERM, SIGINT])
    func `takes a signal as a stop`(signal: Int32) async throws {
        try await withStage { stage in
            let worker = try await stage.launch(stage.environment(records: 1_000_000))
            _ = try await stage.events { $0.status == .started }
            kill(worker.pid, signal)
            await expectExit(worker, .interrupted, stage)
            let events = try await stage.restOfEvents()
            #expect(events.last?.status == .interrupted)
            #expect(events.filter(\.finished).count == 1)
        }
    }

    @Test func `sends a heartbeat at least every third of its lease`() async throws {
        try await withStage { stage in
            var environment = stage.environment(records: 1_000_000, lease: "1.5")
            environment["LOG_LEVEL"] = "info"
            let worker = try await stage.launch(environment)
            _ = try await stage.events { $0.status == .started }
            let begun = ContinuousClock.now
            for _ in 0..<4 { _ = try await stage.events { $0.status == .loading } }
            // Four of them after 2 s at most; the rest is room for a busy machine.
            #expect(ContinuousClock.now - begun < .seconds(4))
            kill(worker.pid, SIGTERM)
            await expectExit(worker, .interrupted, stage)
        }
    }

    @Test func `serves health and metrics beside its work`() async throws {
        try await withStage { stage in
            let worker = try await stage.launch(stage.environment(records: 1_000_000))
            let port = try await stage.port()
            let client = HTTPClient()
            let health = try await client.execute(HTTPRequest(.get, "http://127.0.0.1:\(port)/health/ready"))
            #expect(health.status == 200)
            let metrics = try await client.execute(HTTPRequest(.get, "http://127.0.0.1:\(port)/metrics"))
            let text = String(decoding: metrics.body, as: UTF8.self)
            #expect(text.contains("\nworker_records_written "))
            #expect(text.contains("\nworker_event_delivery_seconds_count 1\n"))
            await client.close()
            kill(worker.pid, SIGTERM)
            await expectExit(worker, .interrupted, stage)
        }
    }

    @Test(
        .disabled(
            if: ProcessInfo.processInfo.environment["STREAMFORGE_TEST_SANITIZER"] != nil,
            "a sanitizer keeps its own files, which may not grow beyond the bound either"))
    func `works on when its log has reached its bound`() async throws {
        try await withStage { stage in
            let limits = ProcessLimits(openFiles: 256, fileBytes: 600)
            let worker = try await stage.launch(stage.environment(records: 5), limits: limits)
            await expectExit(worker, .finished, stage)
            #expect(try await stage.restOfEvents().last?.status == .finished)
            #expect((1...600).contains(stage.log.utf8.count))
        }
    }

    @Test func `names every setting that is missing or wrong, one a line`() async throws {
        try await withStage { stage in
            var environment = stage.environment(records: 1)
            environment["QUEUE_ID"] = "Not A Queue"
            environment["ATTEMPT"] = "zero"
            environment["SYMBOL"] = nil
            let worker = try await stage.launch(environment)
            await expectExit(worker, .badSetting, stage)
            let errors = stage.logLines.compactMap { $0["error"]?.string }
            #expect(
                errors.map { String($0.prefix { $0 != ":" }) } == ["QUEUE_ID", "ATTEMPT", "SYMBOL"],
                "\(stage.log)")
        }
    }

    @Test func `ends for another attempt when a signal comes and there is no broker`() async throws {
        try await withStage { stage in
            var environment = stage.environment(records: 1, lease: "1.5")
            environment["KAFKA_BOOTSTRAP_SERVERS"] = "127.0.0.1:1"
            environment["SHUTDOWN_GRACE_SECONDS"] = "1"
            let worker = try await stage.launch(environment)
            _ = try await stage.port()
            kill(worker.pid, SIGTERM)
            // It cannot report how it ended, and does not hang.
            await expectExit(worker, .retriable, stage)
            #expect(try await stage.restOfEvents().isEmpty)
        }
    }
}
