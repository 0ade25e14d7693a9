import QueueManager
import Testing
import Workflow

/// What every ``EngineStorage`` must do about queues: looks, claims, schedules.
@Suite(.timeLimit(.minutes(2)))
struct EngineStorageContract {
    private typealias Stage = StorageStage

    // MARK: Which queues

    @Test(arguments: StorageKind.allCases)
    func `the longest due queues come first, as many as asked for`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let (a, b, c) = (
                try await stage.create("a"), try await stage.create("b"), try await stage.create("c")
            )
            let waits = [a: 300_000, b: 100_000, c: 200_000] as [QueueID: Int64]
            let first = try await stage.look(.due(limit: 8, token: "x")) { queue, _ in
                .rest(waits[queue.queueID])
            }
            #expect(first.count == 3)
            try await stage.pass(50_000)
            #expect(try await stage.lookDue("y").isEmpty)
            try await stage.pass(500_000)
            #expect(try await stage.lookDue("z", limit: 2) == [b, c])
            #expect(try await stage.lookDue("z", limit: 2) == [a])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a look says when the next one is due`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            #expect(try await stage.storage.millisecondsToNextLook(limit: 10_000) == 10_000)
            let id = try await stage.create("a")
            #expect(try await stage.storage.millisecondsToNextLook(limit: 10_000) == 0)
            let results = try await stage.look(.due(limit: 8, token: "x")) { _, _ in .rest(5_000) }
            #expect(results.map(\.claim) == [QueueClaim(queueID: id, token: "x")])
            #expect(results.map(\.plan.lookAgain) == [5_000])
            let wait = try await stage.storage.millisecondsToNextLook(limit: 10_000)
            #expect((2_000...5_000).contains(wait))
            #expect(try await stage.storage.millisecondsToNextLook(limit: 100) == 100)
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a queue that waits for an event is never due by itself`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try await stage.create("a")
            _ = try await stage.look(.due(limit: 8, token: "x")) { _, _ in .rest() }
            try await stage.pass(86_400_000)
            #expect(try await stage.lookDue("y").isEmpty)
            #expect(try await stage.storage.millisecondsToNextLook(limit: 10_000) == 10_000)
            try await stage.storage.requestLook(at: id)
            #expect(try await stage.storage.millisecondsToNextLook(limit: 10_000) == 0)
            #expect(try await stage.lookDue("y") == [id])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `nobody looks at a cleaned queue`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try await stage.create("a")
            _ = try await stage.look(.due(limit: 8, token: "x")) { queue, facts in
                queue.apply(.end(.failed, reason: "r"), Stage.context(facts))
                queue.apply(.cleaned, Stage.context(facts))
                return .rest(1)
            }
            try await stage.pass(1_000)
            try await stage.storage.requestLook(at: id)
            #expect(try await stage.lookDue("y").isEmpty)
            #expect(try await stage.storage.millisecondsToNextLook(limit: 10_000) == 10_000)
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `asking for a look at an unknown queue does nothing`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            try await stage.storage.requestLook(at: Stage.id("u"))
            #expect(try await stage.lookDue("x").isEmpty)
        }
    }

    // MARK: Claims

    @Test(arguments: StorageKind.allCases)
    func `effects keep a queue claimed until a look has none`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let claim = QueueClaim(queueID: try await stage.create("a"), token: "x")
            #expect(try await stage.lookDue("x") == [claim.queueID])
            #expect(try await stage.lookDue("y").isEmpty)
            #expect(try await stage.look(.claimed([claim])).count == 1)
            #expect(try await stage.lookDue("y").isEmpty)
            #expect(try await stage.look(.claimed([claim])) { _, _ in .rest(0) }.count == 1)
            #expect(try await stage.look(.claimed([claim])).isEmpty)
            #expect(try await stage.lookDue("y") == [claim.queueID])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a renewed claim lasts, another runs out`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let claim = QueueClaim(queueID: try await stage.create("a"), token: "x")
            _ = try await stage.lookDue("x")
            try await stage.pass(2_000)
            try await stage.storage.renew([claim])
            try await stage.pass(2_000)
            #expect(try await stage.lookDue("y").isEmpty)
            try await stage.pass(2_000)
            // It ran out, and nobody came: it is as good as before.
            #expect(try await stage.look(.claimed([claim])).count == 1)
            try await stage.pass(4_000)
            #expect(try await stage.lookDue("y") == [claim.queueID])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a lost claim looks at nothing, renews nothing and releases nothing`(kind: StorageKind) async throws
    {
        try await kind.withStage { stage in
            let lost = QueueClaim(queueID: try await stage.create("a"), token: "x")
            _ = try await stage.lookDue("x")
            try await stage.pass(4_000)
            #expect(try await stage.lookDue("y") == [lost.queueID])
            #expect(try await stage.look(.claimed([lost])).isEmpty)
            try await stage.storage.release(lost, lookAgain: 0)
            #expect(try await stage.lookDue("z").isEmpty)
            try await stage.pass(2_000)
            try await stage.storage.renew([lost])
            try await stage.pass(2_000)
            #expect(try await stage.lookDue("z") == [lost.queueID])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a released claim is looked at again when it said`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let claim = QueueClaim(queueID: try await stage.create("a"), token: "x")
            _ = try await stage.lookDue("x")
            try await stage.storage.release(claim, lookAgain: 60_000)
            #expect(try await stage.look(.claimed([claim])).isEmpty)
            #expect(try await stage.lookDue("y").isEmpty)
            try await stage.pass(60_000)
            #expect(try await stage.lookDue("y") == [claim.queueID])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `some of several claims may be lost`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let held = QueueClaim(queueID: try await stage.create("a"), token: "x")
            let other = QueueClaim(queueID: try await stage.create("b"), token: "stranger")
            _ = try await stage.lookDue("x")
            #expect(try await stage.look(.claimed([other, held])).map(\.claim) == [held])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `whoever holds a queue sees what was asked meanwhile, nobody else is woken`(
        kind: StorageKind
    ) async throws {
        try await kind.withStage { stage in
            let claim = QueueClaim(queueID: try await stage.create("a"), token: "x")
            _ = try await stage.lookDue("x")
            try await stage.request(.stop, claim.queueID)
            try await stage.storage.requestLook(at: claim.queueID)
            #expect(try await stage.lookDue("y").isEmpty)
            #expect(try await stage.storage.millisecondsToNextLook(limit: 10_000) > 0)
            #expect(try await stage.look(.claimed([claim])).map(\.queue.status) == [.stopping])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a request wakes a queue that nobody holds`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try await stage.create("a")
            _ = try await stage.look(.due(limit: 8, token: "x")) { _, _ in .rest() }
            try await stage.request(.stop, id)
            #expect(try await stage.lookDue("y") == [id])
        }
    }

    // MARK: What is kept

    @Test(arguments: StorageKind.allCases)
    func `the next look is shown what the last one wrote`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try await stage.create("a", symbols: ["BTCUSDT", "ETHUSDT"])
            let attempt = AttemptID(try Stage.instance(), 1)
            let handle = JobHandle(launcher: "l", fields: ["job": "1"])
            let written = try #require(
                try await stage.look(.due(limit: 8, token: "x")) { queue, facts in
                    let context = Stage.context(facts)
                    queue.apply(.begin, context)
                    queue.apply(
                        .createAttempt(attempt.id, ControlPosition(partition: 2, offset: 7)), context)
                    queue.apply(.launched(attempt, handle), context)
                    queue.apply(.jobEnded(attempt, eventsEnd: 3, how: "exit 20"), context)
                    queue.apply(
                        .input(
                            .lost(attempt: 1, countsAsFailure: true, reason: "why"), attempt.id,
                            stop: "attempt_lost"), context)
                    queue.attempts[attempt]?.isGone = false
                    return .rest()
                }.first?.queue)
            let shown = try await stage.show(id).queue
            #expect(shown.status == .running && shown.startedAt == written.startedAt)
            #expect(shown.eventNumber == written.eventNumber && shown.commandSeq == 1)
            for id in shown.plan.instances {
                #expect(shown.instances[id]?.machine == written.instances[id]?.machine)
                #expect(shown.instances[id]?.startedAt == written.instances[id]?.startedAt)
                if written.changes.instances.contains(id) {
                    #expect(shown.instances[id]?.notBefore == written.instances[id]?.notBefore)
                }
            }
            #expect(
                String(describing: shown.attempts[attempt])
                    == String(describing: written.attempts[attempt]))
            #expect(shown.changes.isEmpty)
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a look is not shown attempts whose jobs are gone`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try await stage.createStopped("a", symbols: ["BTCUSDT", "ETHUSDT"])
            let gone = AttemptID(try Stage.instance("BTCUSDT"), 1)
            try await stage.storage.requestLook(at: id)
            _ = try await stage.look(.due(limit: 8, token: "x")) { queue, facts in
                queue.apply(.jobGone(gone), Stage.context(facts))
                return .rest()
            }
            let attempts = try await stage.show(id).queue.attempts
            #expect(attempts.keys.map(\.id.instance) == ["ETHUSDT"])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `history is numbered from 1 without a gap, whoever writes it`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try await stage.createStopped("a", symbols: ["BTCUSDT", "ETHUSDT"])
            _ = try await stage.renew("one")
            _ = try await stage.apply([
                Stage.batch([
                    try stage.event(id, .started, seq: 1), try stage.event(id, .started, seq: 1),
                    try stage.event(id, .interrupted, seq: 2),
                ])
            ])
            try await stage.request(.pause, id)
            try await stage.request(.pause, id)
            let numbers = try await stage.historyNumbers(id)
            #expect(numbers == Array(1...Int64(numbers.count)))
            // Created, running, two attempts, started, interrupted with its turn, paused.
            #expect(numbers.count == 8)
        }
    }
}
