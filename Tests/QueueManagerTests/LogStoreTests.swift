import Foundation
import PostgresBridge
import TestSupport
import Testing
import Workflow

@testable import QueueManager

/// What every log store must do.
private func exerciseLogStore(_ store: any LogStore, of queue: QueueID) async throws {
    let step = try #require(StepID("load"))
    func key(_ instance: String, _ attempt: Int) -> JobKey {
        JobKey(queueID: queue, id: InstanceID(step: step, instance: instance), attempt: attempt)
    }
    #expect(try await store.log(of: key("BTCUSDT", 1)) == nil)
    try await store.save(Array("one\n".utf8), of: key("BTCUSDT", 1))
    try await store.save([0, 255, 10, 0], of: key("BTCUSDT", 2))
    try await store.save([], of: key("ETHUSDT-5m", 1))
    #expect(try await store.log(of: key("BTCUSDT", 1)) == Array("one\n".utf8))
    #expect(try await store.log(of: key("BTCUSDT", 2)) == [0, 255, 10, 0])
    #expect(try await store.log(of: key("ETHUSDT-5m", 1)) == [])

    try await store.save(Array("two".utf8), of: key("BTCUSDT", 1))
    #expect(try await store.log(of: key("BTCUSDT", 1)) == Array("two".utf8))

    let long = (0..<(SavedLog.bytesMax + 1_000)).map { UInt8(truncatingIfNeeded: $0) }
    try await store.save(long, of: key("BTCUSDT", 3))
    #expect(try await store.log(of: key("BTCUSDT", 3)) == Array(long.suffix(SavedLog.bytesMax)))
}

@Suite(.timeLimit(.minutes(2)))
struct LogStoreTests {
    @Test func `PostgreSQL keeps the LogStore contract, and logs go with their queue`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            let store = PostgresLogStore(pool)
            try await exerciseLogStore(store, of: id)
            try await pool.execute("DELETE FROM streamforge.queues WHERE queue_id = \(id.rawValue)")
            let rows = try await pool.execute("SELECT count(*) AS n FROM streamforge.attempt_logs")
            #expect(try rows.first?["n", as: Int.self] == 0)
            // Its queue is gone: nothing to keep it with.
            let step = try #require(StepID("load"))
            let key = JobKey(queueID: id, id: InstanceID(step: step, instance: "BTCUSDT"), attempt: 1)
            try await store.save(Array("late".utf8), of: key)
            #expect(try await store.log(of: key) == nil)
        }
    }

    @Test func `a log is saved while the engine works on its queue`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            let key = JobKey(
                queueID: id, id: InstanceID(step: try #require(StepID("load")), instance: "BTCUSDT"),
                attempt: 1)
            let lock: PostgresQuery = """
                SELECT queue_id FROM streamforge.queues WHERE queue_id = \(id.rawValue) \(raw: QueueState.lock)
                """
            try await pool.withTransaction { engine in
                try await engine.execute(lock)
                // Waits for nobody: the engine may go on only when this is over.
                try await PostgresLogStore(pool).save(Array("said".utf8), of: key)
                try await engine.executeAndCommit([lock])
            }
            #expect(try await PostgresLogStore(pool).log(of: key) == Array("said".utf8))
        }
    }

    @Test func `a folder keeps the LogStore contract`() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: uniqueName("logs")).path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let queue = try #require(QueueID("wf-test-abc123"))
        try await exerciseLogStore(FolderLogStore(directory: folder), of: queue)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(names.contains("wf-test-abc123-load-BTCUSDT-1.log"))
        #expect(!names.contains { $0.hasSuffix(".draft") })
    }

    @Test func `drafts that a crash left behind go, those of others that write now stay`() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: uniqueName("logs")).path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for (name, age) in [("old.log.1-2-3.draft", 7_200.0), ("new.log.1-2-3.draft", 0), ("old.log", 7_200)]
        {
            let path = "\(folder)/\(name)"
            try #require(FileManager.default.createFile(atPath: path, contents: Data()))
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: -age)], ofItemAtPath: path)
        }
        let store = FolderLogStore(directory: folder)
        let id = InstanceID(step: try #require(StepID("load")), instance: "BTCUSDT")
        let key = JobKey(queueID: try #require(QueueID("wf-test-abc123")), id: id, attempt: 1)
        try await store.save([1], of: key)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        #expect(names == ["new.log.1-2-3.draft", "old.log", "wf-test-abc123-load-BTCUSDT-1.log"])
    }

    @Test func `a folder is never left by an instance's name`() async throws {
        let store = FolderLogStore(directory: "/nonexistent")
        let id = InstanceID(step: try #require(StepID("load")), instance: "../../etc/passwd")
        let key = JobKey(queueID: try #require(QueueID("wf-test-abc123")), id: id, attempt: 1)
        await #expect(throws: LogStoreError.self) { try await store.log(of: key) }
    }
}
