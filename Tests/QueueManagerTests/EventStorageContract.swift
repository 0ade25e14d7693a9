import QueueManager
import Testing
import Workflow

/// What every ``EngineStorage`` must do about events, their partitions, and commands.
@Suite(.timeLimit(.minutes(2)))
struct EventStorageContract {
    private typealias Stage = StorageStage
    private static let partitions: [Int32] = [0, 1, 2]

    // MARK: Partitions

    @Test(arguments: StorageKind.allCases)
    func `a partition has one owner, until its lease is over`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            #expect(try await stage.renew("one").partitions.map(\.partition).sorted() == Self.partitions)
            #expect(try await stage.renew("two").partitions.isEmpty)
            try await stage.pass(2_000)
            #expect(try await stage.renew("one").partitions.count == 3)
            try await stage.pass(2_000)
            #expect(try await stage.renew("two").partitions.isEmpty)
            try await stage.pass(2_000)
            #expect(try await stage.renew("two").partitions.count == 3)
            #expect(try await stage.renew("one").partitions.isEmpty)
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a late owner keeps what nobody took`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            _ = try await stage.renew("one")
            try await stage.pass(60_000)
            #expect(try await stage.renew("one").partitions.count == 3)
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `partitions that are given back are free at once`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            _ = try await stage.renew("one")
            try await stage.storage.disownPartitions(owner: "two")
            #expect(try await stage.renew("two").partitions.isEmpty)
            try await stage.storage.disownPartitions(owner: "one")
            #expect(try await stage.renew("two").partitions.count == 3)
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `leases are judged up to the time a reader vouches for`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try await stage.create("a")
            let clock = try await stage.renew("one").clock
            // A partition begins as one that was read up to its beginning.
            let start = try #require(try await stage.show(id).facts.caughtUpAt)
            #expect(start <= clock)
            _ = try await stage.renew("one", caughtUp: [0, 2], upTo: clock)
            #expect(try await stage.show(id).facts.caughtUpAt == start)
            _ = try await stage.renew("one", caughtUp: [Stage.partition], upTo: clock)
            #expect(try await stage.show(id).facts.caughtUpAt == clock)
            // It never goes back, and only the owner's word counts.
            _ = try await stage.renew("one", caughtUp: [Stage.partition], upTo: clock - 4_000)
            #expect(try await stage.show(id).facts.caughtUpAt == clock)
            _ = try await stage.renew("two", caughtUp: [Stage.partition], upTo: clock + 4_000)
            #expect(try await stage.show(id).facts.caughtUpAt == clock)
            #expect(try await stage.show(id).facts.blindMilliseconds == 0)
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a long silence of the reader counts as blind, a short one does not`(
        kind: StorageKind
    ) async throws {
        try await kind.withStage { stage in
            let id = try await stage.create("a")
            try await vouch(stage)
            try await stage.pass(3_000)
            try await vouch(stage)
            #expect(try await stage.show(id).facts.blindMilliseconds == 0)
            try await stage.pass(20_000)
            #expect(try await stage.show(id).facts.blindMilliseconds == 0)
            try await vouch(stage)
            #expect(try await stage.show(id).facts.blindMilliseconds.isIn(20_000...25_000))
            try await stage.pass(10_000)
            try await vouch(stage)
            #expect(try await stage.show(id).facts.blindMilliseconds.isIn(30_000...40_000))
        }
    }

    /// The reader has applied everything up to now.
    private func vouch(_ stage: Stage) async throws {
        let clock = try await stage.renew("one").clock
        _ = try await stage.renew("one", caughtUp: [Stage.partition], upTo: clock)
    }

    // MARK: Events

    @Test(arguments: StorageKind.allCases)
    func `events are applied together with their offset`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try await stage.createStopped("a")
            _ = try await stage.renew("one")
            let report = try await stage.apply([
                Stage.batch([
                    try stage.event(id, .started, seq: 1), nil, try stage.event(id, .started, seq: 1),
                    try stage.event(try Stage.id("u"), .started, seq: 1),
                    try stage.event(id, .started, seq: 1, symbol: "XRPUSDT"),
                ])
            ])
            #expect(report.applied == 1 && report.skipped == 4 && !report.needsLook)
            #expect(try await stage.show(id).facts.appliedOffset == 5)
            let place = try await stage.renew("one").partitions.first { $0.partition == Stage.partition }
            #expect(place?.nextOffset == 5)
            #expect(try await stage.show(id).queue.attempts.values.map(\.workerID) == ["w"])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `an event that ends an attempt wakes its queue`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try await stage.createStopped("a")
            _ = try await stage.renew("one")
            #expect(try await stage.lookDue("x").isEmpty)
            let report = try await stage.apply([
                Stage.batch([try stage.event(id, .interrupted, seq: 1)])
            ])
            #expect(report.needsLook)
            #expect(try await stage.lookDue("x") == [id])
        }
    }

    /// A queue that is held, and whose events are read here.
    private func claimedQueue(_ stage: Stage, by token: String) async throws -> QueueID {
        let id = try await stage.createStopped("a")
        _ = try await stage.renew("one")
        try await stage.storage.requestLook(at: id)
        try #require(try await stage.lookDue(token) == [id])
        return id
    }

    @Test(arguments: StorageKind.allCases)
    func `an event of a queue that somebody holds wakes nobody, its holder looks again`(
        kind: StorageKind
    ) async throws {
        try await kind.withStage { stage in
            let id = try await claimedQueue(stage, by: "x")
            let report = try await stage.apply([
                Stage.batch([try stage.event(id, .interrupted, seq: 1)])
            ])
            #expect(report.applied == 1 && !report.needsLook)
            #expect(try await stage.lookDue("y").isEmpty)
            let again = try await stage.look(.claimed([QueueClaim(queueID: id, token: "x")]))
            #expect(again.map(\.queue.queueID) == [id])
        }
    }

    /// Ends every queue it looks at, and finds something to do outside for some.
    private func look(
        claims: Int, held: [QueueClaim] = [], busy: Set<QueueID> = [], seen: Recorded<QueueID>
    ) -> EventLook {
        EventLook(
            token: "look", claimsMax: claims,
            held: Dictionary(held.map { ($0.queueID, $0) }) { first, _ in first },
            followUp: { queue, facts in queue.apply(.end(.failed, reason: "followed"), Stage.context(facts))
            },
            work: { queue, facts, _ in
                seen.append(queue.queueID)
                if !queue.status.isFinal {
                    queue.apply(.end(.failed, reason: "looked"), Stage.context(facts))
                }
                return busy.contains(queue.queueID) ? .hold() : .rest(nil)
            })
    }

    @Test(arguments: StorageKind.allCases)
    func `a queue that nobody holds is looked at with its events`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let ids = try await ["a", "b", "c", "d"].asyncMap { try await stage.createStopped($0) }
            let (quiet, busy, second, held) = (ids[0], ids[1], ids[2], ids[3])
            _ = try await stage.renew("one")
            try await stage.storage.requestLook(at: held)
            #expect(try await stage.lookDue("x") == [held])
            let seen = Recorded<QueueID>()
            let words = try ids.map { try stage.event($0, .interrupted, seq: 1) }
            let report = try await stage.apply(
                [Stage.batch(words)], look: look(claims: 1, busy: [busy, second], seen: seen))
            #expect(Set(seen.all) == [quiet, busy, second])
            #expect(report.applied == 4 && report.needsLook)
            #expect(report.looked.map(\.claim.queueID) == [quiet, busy])
            #expect(report.looked.map { $0.plan.effects.isEmpty } == [true, false])
            // The first one with something to do is ours, for the second there was no room.
            #expect(try await stage.lookDue("y") == [second])
            let again = try await stage.look(.claimed([QueueClaim(queueID: busy, token: "look")]))
            #expect(again.map(\.queue.status) == [.failed])
            #expect(try await stage.show(quiet).queue.status == .failed)
            let numbers = try await stage.historyNumbers(quiet)
            #expect(numbers == Array(1...Int64(numbers.count)))
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a large queue is looked at with events that end attempts, with all its instances`(
        kind: StorageKind
    ) async throws {
        try await kind.withStage { stage in
            let symbols = (0...ApplyReport.lookInstancesMax).map { "S\($0)USDT" }
            let id = try await stage.createStopped("a", symbols: symbols)
            _ = try await stage.renew("one")
            let seen = Recorded<[InstanceMachine.State]>()
            let look = EventLook(token: "look", claimsMax: 8) { queue, _, _ in
                seen.append(queue.instances.values.map(\.machine.state))
                return .rest(nil)
            }
            let started = try await stage.apply(
                [Stage.batch([try stage.event(id, .started, seq: 1, symbol: symbols[0])])], look: look)
            #expect(started.applied == 1 && seen.all.isEmpty)
            for (place, symbol) in symbols.prefix(3).enumerated() {
                let word = try stage.event(id, .interrupted, seq: 2, symbol: symbol)
                let report = try await stage.apply([Stage.batch([word], at: Int64(place) + 1)], look: look)
                #expect(report.looked.count == 1 && !report.needsLook)
                let states = try #require(seen.all.last)
                #expect(states.count == symbols.count)
                #expect(states.count { $0 == .interrupted } == place + 1)
            }
            #expect(seen.all.count == 3)
            #expect(try await stage.lookDue("y").isEmpty)
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a queue that its holder hands in is followed up before its events, looked at and given back`(
        kind: StorageKind
    ) async throws {
        try await kind.withStage { stage in
            let (mine, lost) = (try await stage.createStopped("a"), try await stage.createStopped("b"))
            _ = try await stage.renew("one")
            for id in [mine, lost] { try await stage.storage.requestLook(at: id) }
            #expect(Set(try await stage.lookDue("x")) == [mine, lost])
            let seen = Recorded<QueueID>()
            let claims = [QueueClaim(queueID: mine, token: "x"), QueueClaim(queueID: lost, token: "older")]
            // A repeat changes nothing, but what came of the effects must be written all the same.
            let report = try await stage.apply(
                [Stage.batch(try [mine, lost].map { try stage.event($0, .started, seq: 1) })],
                look: look(claims: 0, held: claims, seen: seen))
            #expect(seen.all == [mine] && report.looked.map(\.claim) == [claims[0]])
            #expect(report.looked.first?.queue.reason == "followed")
            #expect(try await stage.look(.claimed([claims[0]])).isEmpty)
            #expect(try await stage.look(.claimed([QueueClaim(queueID: lost, token: "x")])).count == 1)
            #expect(try await stage.show(mine).queue.reason == "followed")
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a queue that was handed in stays claimed while there is something to do outside`(
        kind: StorageKind
    ) async throws {
        try await kind.withStage { stage in
            let id = try await claimedQueue(stage, by: "x")
            let claim = QueueClaim(queueID: id, token: "x")
            let report = try await stage.apply(
                [Stage.batch([try stage.event(id, .started, seq: 1)])],
                look: look(claims: 0, held: [claim], busy: [id], seen: Recorded()))
            #expect(report.looked.map(\.claim) == [claim])
            #expect(try await stage.lookDue("y").isEmpty)
            #expect(try await stage.look(.claimed([claim])).count == 1)
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `offsets of several partitions move together or not at all`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try await stage.createStopped("a")
            _ = try await stage.renew("one")
            let good = Stage.batch([try stage.event(id, .started, seq: 1)])
            let bad = Stage.batch([nil], at: 4, of: 2)
            await #expect(throws: PartitionLost(partition: 2)) { try await stage.apply([good, bad]) }
            #expect(try await stage.renew("one").partitions.allSatisfy { $0.nextOffset == 0 })
            #expect(try await stage.show(id).queue.attempts.values.map(\.workerID) == [nil])
            let both = try await stage.apply([good, Stage.batch([nil], at: 0, of: 2)])
            #expect(both.applied == 1 && both.skipped == 1)
            let places = try await stage.renew("one").partitions.sorted { $0.partition < $1.partition }
            #expect(places.map(\.nextOffset) == [0, 1, 1])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a reader that lost its partition applies nothing`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try await stage.createStopped("a")
            _ = try await stage.renew("one")
            try await stage.pass(4_000)
            _ = try await stage.renew("two")
            let batch = Stage.batch([try stage.event(id, .started, seq: 1)])
            await #expect(throws: PartitionLost(partition: 1)) { try await stage.apply([batch]) }
            #expect(try await stage.apply([batch], owner: "two").applied == 1)
            // As it is again after an answer that got lost.
            await #expect(throws: PartitionLost(partition: 1)) {
                try await stage.apply([batch], owner: "two")
            }
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `events carry the blind time into the leases they renew`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try await stage.createStopped("a")
            try await vouch(stage)
            try await stage.pass(20_000)
            try await vouch(stage)
            _ = try await stage.apply([Stage.batch([try stage.event(id, .started, seq: 1)])])
            let (queue, facts) = try await stage.show(id)
            #expect(facts.blindMilliseconds >= 20_000)
            #expect(queue.attempts.values.map(\.leaseBlind) == [facts.blindMilliseconds])
        }
    }

    // MARK: Commands

    @Test(arguments: StorageKind.allCases)
    func `commands go out oldest first a queue, as many as asked for`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            _ = try await stage.createStopped("b", symbols: ["BTCUSDT", "ETHUSDT"])
            _ = try await stage.createStopped("a", symbols: ["BTCUSDT", "ETHUSDT"])
            #expect(try await stage.dispatch(limit: 3) == ["a/1", "a/2", "b/1"])
            #expect(try await stage.dispatch(limit: 3) == ["b/2"])
            #expect(try await stage.dispatch().isEmpty)
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a command is sent again until its attempt has said its last word`(
        kind: StorageKind
    ) async throws {
        try await kind.withStage { stage in
            let id = try await stage.createStopped("a", symbols: ["BTCUSDT", "ETHUSDT"])
            #expect(try await stage.dispatch() == ["a/1", "a/2"])
            // Back, so that a slow machine has time to ask before it is due.
            try await stage.pass(-600_000)
            #expect(try await stage.dispatch().isEmpty)
            try await stage.pass(606_000)
            #expect(try await stage.dispatch() == ["a/1", "a/2"])
            _ = try await stage.renew("one")
            _ = try await stage.apply([Stage.batch([try stage.event(id, .interrupted, seq: 1)])])
            try await stage.pass(6_000)
            #expect(try await stage.dispatch() == ["a/2"])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a command that could not be sent is due still`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try await stage.createStopped("a")
            await #expect(throws: FixtureError.self) {
                try await stage.storage.dispatch(limit: 10) { _ in throw FixtureError(detail: "no broker") }
            }
            #expect(try await stage.show(id).queue.attempts.values.map(\.isStopSent) == [false])
            #expect(try await stage.dispatch() == ["a/1"])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a stop that was sent is noted on its attempt and wakes the queue`(
        kind: StorageKind
    ) async throws {
        try await kind.withStage { stage in
            let id = try await stage.createStopped("a")
            #expect(try await stage.show(id).queue.attempts.values.map(\.isStopSent) == [false])
            #expect(try await stage.dispatch() == ["a/1"])
            #expect(try await stage.storage.millisecondsToNextLook(limit: 10_000) == 0)
            #expect(try await stage.show(id).queue.attempts.values.map(\.isStopSent) == [true])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a final queue says what it had to say once`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try await stage.createStopped("a", symbols: ["BTCUSDT", "ETHUSDT"])
            #expect(try await stage.dispatch(limit: 1) == ["a/1"])
            try await stage.storage.requestLook(at: id)
            _ = try await stage.look(.due(limit: 8, token: "x")) { queue, facts in
                queue.apply(.end(.failed, reason: "r"), Stage.context(facts))
                return .rest()
            }
            try await stage.pass(6_000)
            #expect(try await stage.dispatch() == ["a/2"])
            try await stage.pass(6_000)
            #expect(try await stage.dispatch().isEmpty)
        }
    }
}

extension Int64 {
    fileprivate func isIn(_ range: ClosedRange<Int64>) -> Bool { range.contains(self) }
}
