import PostgresBridge
import TestSupport
import Testing
import Workflow

@testable import QueueManager

/// Looks at large queues read only what changed.
@Suite(.timeLimit(.minutes(2)))
struct InstanceCacheTests {
    private static let symbols = (10..<40).map { "S\($0)USDT" }

    @Test func `a look reads only the instances that changed since the last reading`() async throws {
        try await withPostgres { pool in
            let stage = try await StorageStage.postgres(EngineStore(pool), pool)
            _ = try await stage.create("a", symbols: Self.symbols)
            let claim = QueueClaim(queueID: try StorageStage.id("a"), token: "x")
            #expect(try await stage.lookDue("x") == [claim.queueID])
            try await pool.execute("UPDATE streamforge.instances SET failures = 3 WHERE instance = 'S11USDT'")
            // Without a new number a change cannot be seen: this shows that the row is not read again.
            try await pool.execute("ALTER TABLE streamforge.instances DISABLE TRIGGER number_instance_change")
            try await pool.execute("UPDATE streamforge.instances SET failures = 3 WHERE instance = 'S12USDT'")
            let seen = try #require(try await stage.look(.claimed([claim])).first?.queue.instances)
            #expect(seen.count == Self.symbols.count)
            #expect(seen[try StorageStage.instance("S11USDT")]?.machine.failures == 3)
            #expect(seen[try StorageStage.instance("S12USDT")]?.machine.failures == 0)
        }
    }

    /// Two replicas change a queue in turn, by looks and by events, and each sees what the other one did; what they
    /// see is what a third one reads that knows nothing.
    @Test func `replicas see what others changed`() async throws {
        try await withPostgres { pool in
            let stages = try await [EngineStore(pool), EngineStore(pool)].asyncMap {
                try await StorageStage.postgres($0, pool)
            }
            let id = try await stages[0].create("a", symbols: Self.symbols)
            _ = try await stages[0].renew("one")
            var offset: Int64 = 0
            for round in 0..<8 {
                let stage = stages[round % 2]
                // The claim is given back each time: the next round is the other's.
                let begun = Self.symbols[round * 2..<round * 2 + 2]
                try await stage.storage.requestLook(at: id)
                let looked = try await stage.look(.due(limit: 1, token: "\(round)")) { queue, facts in
                    queue.apply(.begin, StorageStage.context(facts))
                    for symbol in begun {
                        let control = ControlPosition(partition: 0, offset: 0)
                        guard let id = try? StorageStage.instance(symbol) else { continue }
                        queue.apply(.createAttempt(id, control), StorageStage.context(facts))
                    }
                    return .rest()
                }
                #expect(looked.count == 1)
                for (seq, status) in [(Int64(1), QueueEvent.Status.started), (2, .finished)] {
                    let word = try stage.event(id, status, seq: seq, symbol: begun[round * 2])
                    _ = try await stages[(round + 1) % 2].apply([StorageStage.batch([word], at: offset)])
                    offset += 1
                }
                let fresh = try await StorageStage.postgres(EngineStore(pool), pool).show(id).queue.machines
                for stage in stages { #expect(try await stage.show(id).queue.machines == fresh) }
                #expect(fresh.values.count { $0.state == .finished } == round + 1)
                #expect(fresh.values.count { $0.state == .starting } == round + 1)
            }
        }
    }

    @Test func `a look that fails leaves nothing behind`() async throws {
        try await withPostgres { pool in
            let store = EngineStore(pool)
            let stage = try await StorageStage.postgres(store, pool)
            let id = try await stage.create("a", symbols: Self.symbols)
            #expect(try await stage.lookDue("x") == [id])
            try await pool.execute(
                "ALTER TABLE streamforge.instances ADD CHECK (failures < 5 AND attempt < 1)")
            await #expect(throws: PostgresError.self) {
                try await stage.look(.claimed([QueueClaim(queueID: id, token: "x")])) { queue, facts in
                    queue.apply(.begin, StorageStage.context(facts))
                    let control = ControlPosition(partition: 0, offset: 0)
                    for id in queue.plan.instances {
                        queue.apply(.createAttempt(id, control), StorageStage.context(facts))
                    }
                    return .hold()
                }
            }
            let seen = try await stage.look(.claimed([QueueClaim(queueID: id, token: "x")])).map(\.queue)
            #expect(seen.first?.machines.values.allSatisfy { $0.state == .waiting } == true)
        }
    }

    @Test func `keeps a bounded number, the newest reading, and nothing of what is over`() throws {
        let cache = InstanceCache(instancesMax: 70)
        func queue(_ letter: String, version: Int64, count: Int = 30) throws -> QueueState {
            var state = QueueState.new(
                try StorageStage.new(letter, symbols: (0..<count).map { "S\($0)USDT" }))
            state.instancesVersion = version
            return state
        }
        let ids = try ["a", "b", "c", "d"].map { try StorageStage.id($0) }
        cache.note(try queue("a", version: 7))
        cache.note(try queue("a", version: 5))
        cache.note(try queue("b", version: 3))
        cache.note(try queue("d", version: 1, count: 16))
        #expect(cache.entries(of: ids).mapValues(\.version) == [ids[0]: 7, ids[1]: 3])
        cache.note(try queue("c", version: 1))
        #expect(Set(cache.entries(of: ids).keys) == [ids[2]])
        var over = try queue("c", version: 2)
        over.apply(.end(.failed, reason: "r"), OperationContext(now: 1, policy: EnginePolicy(), jitter: 0))
        cache.note(over)
        cache.note(try queue("a", version: 1, count: 71))
        #expect(cache.entries(of: ids).isEmpty)
    }
}

extension QueueState {
    fileprivate var machines: [InstanceID: InstanceMachine] { instances.mapValues(\.machine) }
}
