import PostgresBridge
import TestSupport
import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(2)))
struct HistoryFeedTests {
    /// Whatever else the server runs (other tests share it) may hold the feed back for a moment.
    private func events(
        _ store: HistoryStore, after cursor: HistoryCursor, count: Int
    ) async throws -> [FeedEvent] {
        let deadline = ContinuousClock.now + .seconds(20)
        var events: [FeedEvent] = []
        while events.count < count, ContinuousClock.now < deadline {
            events += try await store.events(after: events.last?.cursor ?? cursor, limit: 100)
        }
        return events
    }

    private func write(_ queue: QueueID, _ kind: String, _ connection: PostgresConnection) async throws {
        try await connection.execute(EngineStore.historyInsert(queue.rawValue, kind: kind, actor: "test"))
    }

    @Test func `a follower misses no event of a transaction that began first and commits last`() async throws
    {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let early = try await engine.createQueue("early1")
            let late = try await engine.createQueue("late11")
            let store = HistoryStore(pool)
            let created = try await events(store, after: .beginning, count: 2)
            #expect(created.map(\.event.kind) == ["queue_created", "queue_created"])
            let start = try #require(created.last).cursor
            try await pool.withConnection { slow in
                try await slow.execute("BEGIN")
                try await write(late, "slow", slow)
                try await pool.withTransaction { try await write(early, "quick", $0) }
                // Committed, but the slow one has the lower number and may still come: nobody may pass it.
                #expect(try await store.events(after: start, limit: 10).isEmpty)
                try await slow.execute("COMMIT")
            }
            let seen = try await events(store, after: start, count: 2)
            #expect(seen.map(\.event.kind) == ["slow", "quick"])
            #expect(seen.map(\.queueID) == [late, early])
        }
    }

    @Test func `pages give every event once and in one order`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            var ids: [QueueID] = []
            for index in 0..<4 { ids.append(try await engine.createQueue("queue\(index)")) }
            let queues = ids
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<6 {
                    group.addTask {
                        for index in 0..<20 {
                            let queue = queues[(worker + index) % queues.count]
                            try await pool.withTransaction { transaction in
                                try await write(queue, "a", transaction)
                                try await write(queue, "b", transaction)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let store = HistoryStore(pool)
            let all = try await events(store, after: .beginning, count: 244)
            var paged: [FeedEvent] = []
            while paged.count < 244 {
                let page = try await store.events(after: paged.last?.cursor ?? .beginning, limit: 7)
                paged += page
                if page.isEmpty { break }
            }
            #expect(paged == all)
            #expect(Set(all.map(\.cursor)).count == 244)
            for queue in queues {
                let numbers = all.filter { $0.queueID == queue }.map(\.event.number)
                #expect(numbers == Array(1...61))
            }
        }
    }

    @Test func `a follower from now on sees only what is to come`() async throws {
        try await withPostgres { pool in
            let engine = try await EngineFixture(pool)
            let id = try await engine.createQueue()
            let store = HistoryStore(pool)
            _ = try await events(store, after: .beginning, count: 1)
            let now = try await store.end()
            #expect(try await store.events(after: now, limit: 10).isEmpty)
            try await pool.withTransaction { try await write(id, "new", $0) }
            #expect(try await events(store, after: now, count: 1).map(\.event.kind) == ["new"])
        }
    }

    @Test func `a place in the feed is read back from its text`() throws {
        let cursor = HistoryCursor(transaction: 5_000_000_000, queueID: "wf-test-abc123", number: 7)
        #expect(HistoryCursor(cursor.text) == cursor)
        #expect(HistoryCursor(HistoryCursor.beginning.text) == .beginning)
        for text in ["", "1", "1.2", "1.wf-test-abc123.-1", "-1..0", "x..0", "1.bad.0", "1..0.0"] {
            #expect(HistoryCursor(text) == nil, "\(text)")
        }
    }
}
