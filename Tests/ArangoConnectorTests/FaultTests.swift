import ArangoConnector
import KafkaBridge
import Synchronization
import TestSupport
import Testing
import Workflow

@Suite(.serialized, .timeLimit(.minutes(2)))
struct FaultTests {
    static let abandon = StoreError(.denied, operation: "test", detail: "the attempt ends here")

    @Test(arguments: [1, 3, 5])
    func `goes on after an attempt that ended before a store write`(write: Int) async throws {
        try await withRig { rig in
            try await rig.fill(candles: 2_000)
            let store = FaultyStore(
                rig.store,
                beforeWrite: { number throws(StoreError) in if number == write { throw Self.abandon } })
            try #require(try await rig.run(store: store).failure != nil)
            try await checkRest(rig, count: 2_000)
        }
    }

    @Test(arguments: [1, 3, 5])
    func `goes on after an attempt that ended between store write and position commit`(write: Int)
        async throws
    {
        try await withRig { rig in
            try await rig.fill(candles: 2_000)
            let store = FaultyStore(
                rig.store,
                afterWrite: { number throws(StoreError) in if number == write { throw Self.abandon } })
            try #require(try await rig.run(store: store).failure != nil)
            try await checkRest(rig, count: 2_000)
        }
    }

    private func checkRest(_ rig: Rig, count: Int64) async throws {
        let end = try #require(try await rig.run(attempt: 2).finished)
        #expect(end.counts.recordsRead == count)
        #expect(end.counts.recordsWritten == count)
        #expect(end.counts.duplicates == 0)
        #expect(try await rig.keys() == rig.expectedKeys(count))
        #expect(try await rig.admin.lag(of: rig.group, topic: rig.topic) == [rig.partition: 0])
    }

    @Test func `ends when a higher attempt takes over, and writes nothing more`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 3_000)
            let store = FaultyStore(
                rig.store,
                beforeWrite: { number throws(StoreError) in
                    if number == 3 { _ = try await rig.store.claim(rig.stream, attempt: 2) }
                })
            #expect(try await rig.run(store: store) == .superseded)
            let progress = try await rig.store.claim(rig.stream, attempt: 2)
            #expect(store.writes == 3)
            #expect(try await rig.keys().count == Int(progress.recordsWritten))
            #expect(try await rig.run(attempt: 1) == .superseded)
            #expect(try await rig.run(attempt: 2).finished?.counts.recordsWritten == 3_000)
        }
    }

    @Test func `waits for a store that is away and reads no further meanwhile`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 3_000)
            let retries = Atomic(0)
            let failures = Atomic(4)
            let store = FaultyStore(
                rig.store,
                beforeWrite: { number throws(StoreError) in
                    guard number > 2, failures.load(ordering: .relaxed) > 0 else { return }
                    failures.subtract(1, ordering: .relaxed)
                    throw StoreError(.unavailable, operation: "write", detail: "the store is away")
                })
            let outcome = try await rig.run(
                store: store,
                hooks: ConnectorHooks(observe: { observation in
                    if case .storeRetried = observation { retries.add(1, ordering: .relaxed) }
                }))
            let end = try #require(outcome.finished)
            #expect(retries.load(ordering: .relaxed) == 4)
            #expect(end.counts.recordsWritten == 3_000)
            #expect(end.counts.duplicates == 0)
        }
    }

    @Test func `goes on when the server ends its connections`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 3_000)
            let end =
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                + " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            let store = FaultyStore(
                rig.store,
                beforeWrite: { number throws(StoreError) in
                    if number % 3 == 0 { _ = try? await rig.pool.execute("\(raw: end)") }
                })
            let finished = try #require(try await rig.run(store: store).finished)
            #expect(finished.counts.recordsWritten == 3_000)
            #expect(try await rig.keys() == rig.expectedKeys(3_000))
        }
    }

    @Test func `counts a write once whose answer was lost`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 1_200)
            let store = FaultyStore(
                rig.store,
                afterWrite: { number throws(StoreError) in
                    guard number == 2 else { return }
                    throw StoreError(.unavailable, operation: "write", detail: "the answer was lost")
                })
            let end = try #require(try await rig.run(store: store).finished)
            #expect(end.counts.recordsWritten == 1_200)
            #expect(end.counts.duplicates == 0)
        }
    }

    @Test func `fails as retriable when the store stays away`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 10)
            let store = FaultyStore(
                rig.store,
                beforeWrite: { _ throws(StoreError) in
                    throw StoreError(.unavailable, operation: "write", detail: "the store is away")
                })
            var limits = rig.limits
            limits.storeRetry = .milliseconds(300)
            let failure = try #require(try await rig.run(store: store, limits: limits).failure)
            #expect(failure.reason == .retriable)
            #expect(failure.detail.contains("the store is away"))
        }
    }

    @Test func `writes nothing while no heartbeat gets through`() async throws {
        try await withRig { rig in
            try await rig.fill(candles: 1_000)
            let asked = Atomic(0)
            let store = FaultyStore(
                rig.store,
                beforeWrite: { _ throws(StoreError) in
                    guard asked.load(ordering: .relaxed) >= 5 else {
                        throw StoreError(.invalid, operation: "write", detail: "without a lease")
                    }
                })
            let hooks = ConnectorHooks(mayWrite: { asked.add(1, ordering: .relaxed).newValue >= 5 })
            #expect(try await rig.run(store: store, hooks: hooks).finished?.counts.recordsWritten == 1_000)
        }
    }
}
