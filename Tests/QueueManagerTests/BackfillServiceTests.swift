import TestSupport
import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(2)))
struct BackfillServiceTests {
    private let name = ObjectName("five-days")

    private func withBackfill(
        _ fields: [String: JSONValue] = [:], _ body: (PlannedFixture, ObjectName) async throws -> Void
    ) async throws {
        let name = try #require(name)
        try await withPostgres { pool in
            let fixture = try await PlannedFixture(pool)
            let spec = try fixture.backfillSpec(fields)
            #expect(try await fixture.backfills.create(name, spec, key: nil, requestHash: "h") == .created)
            try await body(fixture, name)
        }
    }

    private func states(_ fixture: PlannedFixture, _ name: ObjectName) async throws -> [ShardMachine.State] {
        try await fixture.backfills.shards(of: name, state: nil, after: 0, limit: 1_000).map(\.machine.state)
    }

    /// Ends every running queue and looks on, until the backfill is at rest.
    private func runToRest(
        _ fixture: PlannedFixture, _ name: ObjectName,
        _ outcome: (ShardRow) -> QueueStatus = { _ in .finished }
    ) async throws -> BackfillMachine.State {
        for _ in 0..<100 {
            try await fixture.settleBackfills()
            let row = try #require(try await fixture.backfills.backfill(name)).row
            if row.state.isAtRest { return row.state }
            for shard in try await fixture.backfills.shards(of: name, state: .running, after: 0, limit: 200) {
                let queue = try #require(shard.queueID)
                if try await fixture.status(queue)?.isFinal == false {
                    try await fixture.end(queue, outcome(shard), reason: "as the test says")
                }
            }
            fixture.advance(seconds: 2)
        }
        throw FixtureError(detail: "the backfill does not come to rest: \(try await states(fixture, name))")
    }

    @Test func `runs every shard once, so many at a time, and finishes`() async throws {
        try await withBackfill { fixture, name in
            try await fixture.settleBackfills()
            #expect(try await states(fixture, name) == [.running, .running, .waiting, .waiting, .waiting])
            #expect(try await runToRest(fixture, name) == .finished)
            let shards = try await fixture.backfills.shards(of: name, state: nil, after: 0, limit: 10)
            let ranges = try await shards.asyncMap {
                try await fixture.engine.queue(try #require($0.queueID))?.queue.plan.timeRange
            }
            let expected: [String?] = (1...5).map { "2024-01-0\($0):2024-01-0\($0)" }
            #expect(ranges == expected)
            #expect(try await fixture.queueIDs().count == 5)
            let (_, _, progress) = try #require(try await fixture.backfills.backfill(name))
            #expect(progress.shareDone == 1 && progress.secondsLeft == 0)
        }
    }

    @Test func `retry runs the failed shards again and no others`() async throws {
        try await withBackfill { fixture, name in
            #expect(try await runToRest(fixture, name) { $0.number == 2 ? .failed : .finished } == .failed)
            let failed = try #require(
                try await fixture.backfills.shards(of: name, state: .failed, after: 0, limit: 10).first)
            #expect(failed.number == 2 && failed.machine.reason == "as the test says")
            #expect(
                try await fixture.backfills.request(.retry, of: name) == .accepted(.running, shards: 1))
            #expect(try await runToRest(fixture, name) == .finished)
            let shards = try await fixture.backfills.shards(of: name, state: nil, after: 0, limit: 10)
            #expect(shards.map(\.machine.attempt) == [1, 2, 1, 1, 1])
            #expect(try await fixture.queueIDs().count == 6)
            #expect(try await fixture.backfills.request(.retry, of: name) == .refused(.finished))
        }
    }

    @Test func `a crash between creating the queue and writing that down makes no second queue`() async throws
    {
        try await withBackfill(["parallelism": .integer(1)]) { fixture, name in
            let claim = try #require(try await fixture.backfills.claims.claim(limit: 1, token: "dead").first)
            let look = try await fixture.backfills.look(at: claim)
            let shard = try #require(look.starting.first)
            let queue = try await fixture.starter.start(shard.body, shard.idempotencyKey)
            try await fixture.expireClaims()
            try await fixture.settleBackfills("two")
            #expect(try await fixture.queueIDs() == [queue])
            let running = try await states(fixture, name).count { $0 == .running }
            #expect(running == 1)
            // The dead one wakes up: nothing changes, and nothing is stopped.
            #expect(try await fixture.backfills.recordStarted(shard, queue) == false)
            await #expect(throws: ClaimLost()) { try await fixture.backfills.look(at: claim) }
        }
    }

    @Test func `three replicas start each shard once`() async throws {
        try await withBackfill([
            "shard_days": .integer(1), "time_range": .string("2024-01-01:2024-02-09"),
            "parallelism": .integer(100),
        ]) {
            fixture, name in
            let services = ["one", "two", "three"].map { fixture.backfillService($0) }
            for _ in 0..<15 {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for service in services { group.addTask { _ = try await service.round() } }
                    try await group.waitForAll()
                }
            }
            let running = try await states(fixture, name).count { $0 == .running }
            #expect(running == 40)
            #expect(try await fixture.queueIDs().count == 40)
            #expect(try await runToRest(fixture, name) == .finished)
        }
    }

    @Test func `a pause starts nothing more and lets queues end; resume goes on`() async throws {
        try await withBackfill { fixture, name in
            try await fixture.settleBackfills()
            #expect(try await fixture.backfills.request(.pause, of: name) == .accepted(.paused, shards: 0))
            for queue in try await fixture.queueIDs() { try await fixture.end(queue) }
            fixture.advance(seconds: 2)
            try await fixture.settleBackfills()
            #expect(try await states(fixture, name) == [.finished, .finished, .waiting, .waiting, .waiting])
            #expect(try await fixture.backfills.request(.resume, of: name) == .accepted(.running, shards: 0))
            #expect(try await runToRest(fixture, name) == .finished)
        }
    }

    @Test func `cancel stops what runs and starts nothing more`() async throws {
        try await withBackfill { fixture, name in
            try await fixture.settleBackfills()
            #expect(
                try await fixture.backfills.request(.cancel, of: name) == .accepted(.cancelling, shards: 0))
            try await fixture.settleBackfills()
            let queues = try await fixture.queueIDs()
            #expect(Set(fixture.stopped.all) == Set(queues) && queues.count == 2)
            for queue in queues { #expect(try await fixture.status(queue) == .stopping) }
            #expect(try await runToRest(fixture, name) { _ in .stopped } == .cancelled)
            let cancelled = try await states(fixture, name).count { $0 == .cancelled }
            #expect(cancelled == 5)
            #expect(try await fixture.queueIDs().count == 2)
            #expect(try await fixture.backfills.request(.resume, of: name) == .refused(.cancelled))
        }
    }

    @Test func `a cancelled backfill ends although the exchange is away`() async throws {
        try await withBackfill { fixture, name in
            fixture.isExchangeAway.value = true
            try await fixture.settleBackfills()
            let begun = try await states(fixture, name).count { $0 == .starting }
            #expect(begun == 2)
            _ = try await fixture.backfills.request(.cancel, of: name)
            #expect(try await runToRest(fixture, name) == .cancelled)
            #expect(try await fixture.queueIDs().isEmpty)
        }
    }

    @Test func `a slow replica's queue of a shard that was cancelled is stopped`() async throws {
        try await withBackfill(["parallelism": .integer(1)]) { fixture, name in
            let claim = try #require(try await fixture.backfills.claims.claim(limit: 1, token: "slow").first)
            let shard = try #require(try await fixture.backfills.look(at: claim).starting.first)
            try await fixture.expireClaims()
            fixture.isExchangeAway.value = true
            _ = try await fixture.backfills.request(.cancel, of: name)
            #expect(try await runToRest(fixture, name) == .cancelled)
            fixture.isExchangeAway.value = false
            let queue = try await fixture.starter.start(shard.body, shard.idempotencyKey)
            #expect(try await fixture.backfills.recordStarted(shard, queue))
        }
    }

    @Test func `a refused shard fails with the words of the refusal, the others go on`() async throws {
        let request = JSONValue.object([
            "symbol": .string("BTCUSDT"), "type": .string("api_candles_1h"),
            "time_range": .string("2024-01-01:${shard.last}"),
        ])
        // Wrong for a shard that ends before that day.
        try await withBackfill(["request": request, "time_range": .string("2023-12-31:2024-01-02")]) {
            fixture, name in
            #expect(try await runToRest(fixture, name) == .failed)
            #expect(try await states(fixture, name) == [.failed, .finished, .finished])
            let shard = try await fixture.backfills.shards(of: name, state: .failed, after: 0, limit: 1).first
            #expect(shard?.machine.reason?.contains("time_range is reversed") == true)
        }
    }

    @Test func `a key makes one backfill, and a name is taken once`() async throws {
        try await withPostgres { pool in
            let fixture = try await PlannedFixture(pool)
            let spec = try fixture.backfillSpec()
            let (one, two) = (try #require(ObjectName("one")), try #require(ObjectName("two")))
            let store = fixture.backfills
            #expect(try await store.create(one, spec, key: "k", requestHash: "h") == .created)
            #expect(try await store.create(two, spec, key: "k", requestHash: "h") == .known(one))
            #expect(try await store.create(two, spec, key: "k", requestHash: "x") == .idempotencyMismatch)
            #expect(try await store.create(one, spec, key: nil, requestHash: "h") == .nameTaken)
            #expect(try await store.known(key: "k", requestHash: "h") == .known(one))
            #expect(try await store.known(key: "other", requestHash: "h") == nil)
            #expect(try await store.request(.pause, of: two) == .unknown)
        }
    }

    @Test func `ten thousand shards are made, counted and paged by key`() async throws {
        let fields: [String: JSONValue] = ["time_range": .string("1980-01-01:2007-05-18")]
        try await withBackfill(fields) { fixture, name in
            let (_, counts, _) = try #require(try await fixture.backfills.backfill(name))
            #expect(counts[.waiting] == 10_000)
            var numbers: [Int] = []
            while true {
                let page = try await fixture.backfills.shards(
                    of: name, state: .waiting, after: numbers.last ?? 0, limit: 1_000)
                if page.isEmpty { break }
                numbers += page.map(\.number)
            }
            #expect(numbers == Array(1...10_000))
            try await fixture.settleBackfills()
            #expect(try await fixture.queueIDs().count == 2)
            _ = try await fixture.backfills.request(.cancel, of: name)
            #expect(try await runToRest(fixture, name) { _ in .stopped } == .cancelled)
        }
    }

    @Test func `pages through backfills, newest first`() async throws {
        try await withPostgres { pool in
            let fixture = try await PlannedFixture(pool)
            for index in 0..<5 {
                let name = try #require(ObjectName("b-\(index)"))
                let spec = try fixture.backfillSpec()
                #expect(
                    try await fixture.backfills.create(name, spec, key: nil, requestHash: "h") == .created)
            }
            let first = try await fixture.backfills.backfills(before: nil, limit: 3)
            let rest = try await fixture.backfills.backfills(before: first.last?.number, limit: 3)
            let names: [String] = (first + rest).map(\.name.rawValue)
            #expect(names == ["b-4", "b-3", "b-2", "b-1", "b-0"])
        }
    }
}

extension Array {
    func asyncMap<Value>(_ body: (Element) async throws -> Value) async throws -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await body(element)) }
        return values
    }
}
