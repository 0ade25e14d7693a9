import QueueManager
import Testing
import Workflow

/// What every ``EngineStorage`` must do when it creates queues and looks at them at once.
@Suite(.timeLimit(.minutes(2)))
struct CreationContract {
    private typealias Stage = StorageStage

    /// Begins a queue and gives each instance an attempt, to be launched.
    private static let begin: @Sendable (inout QueueState, LookFacts) -> LookPlan = { queue, facts in
        let context = Stage.context(facts)
        queue.apply(.begin, context)
        var plan = LookPlan()
        for id in queue.plan.instances {
            queue.apply(.createAttempt(id, ControlPosition(partition: 0, offset: 7)), context)
            plan.effects.append(.launch(AttemptID(id, 1)))
        }
        return plan
    }

    @Test(arguments: StorageKind.allCases)
    func `a queue is written as its first look leaves it, and claimed`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let report = try await stage.create([try Stage.new("a", symbols: ["B", "A"])], Self.begin)
            let looked = try #require(report.looked.first)
            #expect(looked.claim == QueueClaim(queueID: try Stage.id("a"), token: "create"))
            #expect(!report.needsLook && looked.plan.effects.count == 2)
            #expect(try await stage.lookDue("x").isEmpty)
            let again = try #require(try await stage.look(.claimed([looked.claim])).first?.queue)
            #expect(again.status == .running && again.startedAt == looked.queue.startedAt)
            #expect(again.eventNumber == 4 && again.plan == looked.queue.plan)
            for id in again.plan.instances {
                let (stored, known) = (again.instances[id], looked.queue.instances[id])
                #expect(stored?.machine == known?.machine && stored?.machine.state == .starting)
                #expect(stored?.startedAt == known?.startedAt && known?.startedAt != nil)
                let attempt = AttemptID(id, 1)
                #expect(
                    String(describing: again.attempts[attempt])
                        == String(describing: looked.queue.attempts[attempt]))
            }
            // Created, running, two attempts.
            #expect(try await stage.historyNumbers(looked.claim.queueID) == [1, 2, 3, 4])
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a first look without effects leaves the queue to itself until it said`(
        kind: StorageKind
    ) async throws {
        try await kind.withStage { stage in
            let (quiet, soon) = (try Stage.new("a"), try Stage.new("b"))
            let report = try await stage.create([quiet]) { _, _ in .rest(60_000) }
            #expect(report.looked.count == 1 && !report.needsLook)
            #expect(try await stage.create([soon]) { _, _ in .rest(500) }.needsLook)
            try await stage.pass(1_000)
            #expect(try await stage.lookDue("x") == [soon.queueID])
            try await stage.pass(60_000)
            #expect(try await stage.lookDue("y").contains(quiet.queueID))
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a queue that ends with its first look is written with its end`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let id = try Stage.id("a")
            let instance = try Stage.instance()
            _ = try await stage.create([try Stage.new("a")]) { queue, facts in
                let context = Stage.context(facts)
                queue.apply(.begin, context)
                queue.apply(.input(.skip(reason: "not wanted"), instance, stop: nil), context)
                queue.apply(.end(.finished, reason: "nothing to do"), context)
                return .rest()
            }
            let (queue, facts) = try await stage.show(id)
            #expect(queue.status == .finished && queue.reason == "nothing to do")
            #expect(try #require(queue.finishedAt) <= facts.now)
            #expect(queue.instances[instance]?.machine.state == .skipped)
            #expect(queue.instances[instance]?.machine.reason == "not wanted")
            #expect(queue.instances[instance]?.finishedAt == queue.finishedAt)
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `what is large, limited or more than may be claimed is left to others`(
        kind: StorageKind
    ) async throws {
        try await kind.withStage { stage in
            let symbols = (0...ApplyReport.lookInstancesMax).map { "S\($0)" }
            let queues = [
                try Stage.new("a", symbols: symbols), try Stage.new("b", locks: ["one"]),
                try Stage.new("c"), try Stage.new("d"),
            ]
            let report = try await stage.create(queues, claimsMax: 1, Self.begin)
            #expect(report.looked.map(\.claim.queueID) == [queues[2].queueID] && report.needsLook)
            #expect(report.answers.count == 4)
            let due = try await stage.lookDue("x")
            #expect(Set(due) == Set([queues[0], queues[1], queues[3]].map(\.queueID)))
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `without a look every queue is due`(kind: StorageKind) async throws {
        try await kind.withStage { stage in
            let report = try await stage.storage.create([try Stage.new("a")], look: nil)
            #expect(report.needsLook && report.looked.isEmpty)
            #expect(try await stage.lookDue("x") == [try Stage.id("a")])
        }
    }

    /// As after a crash between the commit and the first effect.
    @Test(arguments: StorageKind.allCases)
    func `a claim that nobody carries out runs out, and others see all that was decided`(
        kind: StorageKind
    ) async throws {
        try await kind.withStage { stage in
            let lost = try #require(
                try await stage.create([try Stage.new("a")], Self.begin).looked.first?.claim)
            try await stage.pass(2_000)
            #expect(try await stage.lookDue("y").isEmpty)
            try await stage.pass(2_000)
            let seen = try await stage.look(.due(limit: 8, token: "y"))
            #expect(seen.map(\.claim.queueID) == [lost.queueID])
            let attempt = AttemptID(try Stage.instance(), 1)
            #expect(seen.first?.queue.attempts[attempt]?.handle == nil)
            #expect(seen.first?.queue.attempts[attempt]?.launchToken == "look")
            #expect(try await stage.look(.claimed([lost])).isEmpty)
        }
    }

    @Test(arguments: StorageKind.allCases)
    func `a request whose key is known creates nothing and is not looked at`(
        kind: StorageKind
    ) async throws {
        try await kind.withStage { stage in
            let first = try await stage.create(
                [try Stage.new("a", key: "k"), try Stage.new("b", key: "k")], Self.begin)
            #expect(first.looked.map(\.claim.queueID) == [try Stage.id("a")])
            #expect(first.answers.last == .known(try Stage.id("a")))
            let again = try await stage.create(
                [try Stage.new("c", key: "k"), try Stage.new("d", key: "k", hash: "other")], Self.begin)
            #expect(again.answers == [.known(try Stage.id("a")), .idempotencyMismatch])
            #expect(again.looked.isEmpty && !again.needsLook)
        }
    }
}
