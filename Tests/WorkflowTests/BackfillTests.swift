import MarketData
import Testing
import Workflow

@Suite struct BackfillTests {
    private func spec(_ fields: [String: JSONValue] = [:]) throws -> BackfillSpec {
        let base: [String: JSONValue] = [
            "time_range": .string("2024-01-01:2024-01-10"), "shard_days": .integer(4),
            "request": .object(["symbol": .string("BTCUSDT"), "type": .string("api_candles_1h")]),
        ]
        return try BackfillSpec(
            ObjectReader(.object(base.merging(fields) { $1 }), path: "", known: BackfillSpec.fields))
    }

    @Test func `cuts the range into shards, the last one shorter`() throws {
        let spec = try spec()
        #expect(spec.shardCount == 3)
        #expect(
            (1...3).map { spec.shard($0).description } == [
                "2024-01-01:2024-01-04", "2024-01-05:2024-01-08", "2024-01-09:2024-01-10",
            ])
        #expect(try self.spec(["shard_days": .integer(10)]).shardCount == 1)
    }

    @Test func `gives each shard's request its days`() throws {
        let body = try spec().body(ofShard: 2)
        #expect(try PlanBuilder().build(body).timeRange == "2024-01-05:2024-01-08")
        let request = JSONValue.object([
            "type": .string("dummy"), "time_range": .string("${shard.first}:${shard.first}"),
        ])
        guard case .object(let fields) = try spec(["request": request]).body(ofShard: 3) else {
            Issue.record("no object")
            return
        }
        #expect(fields["time_range"] == .string("2024-01-09:2024-01-09"))
    }

    @Test func `tells what it will ask for`() throws {
        let spec = try spec()
        let plan = try PlanBuilder().build(try spec.body(ofShard: 1))
        let estimate = try BackfillEstimate(spec, plan: plan, ExchangeCost(weightPerMinute: 4))
        #expect(estimate.shards == 3 && estimate.total.records == 240)
        #expect(estimate.total.exchangeRequests == 3)
        #expect(estimate.total.exchangeWeight == 6 && estimate.total.exchangeSeconds == 60)
    }

    @Test(arguments: [
        ("time_range", JSONValue.string("2024-01-10:2024-01-01"), "time_range"),
        ("time_range", .null, "time_range"),
        ("shard_days", .null, "shard_days"),
        ("shard_days", .integer(0), "shard_days"),
        ("parallelism", .integer(101), "parallelism"),
        ("parallelism", .integer(0), "parallelism"),
        ("request", .null, "request"),
        ("request", .string("x"), "request"),
        ("request", .object(["time_range": .string("2024-01-01:2024-01-10")]), "request.time_range"),
    ])
    func `refuses a field that is not right and names it`(name: String, value: JSONValue, field: String) {
        let error = #expect(throws: RequestError.self) { try spec([name: value]) }
        #expect(error?.field == field && error?.hint != nil)
    }

    @Test func `takes 10,000 shards and not one more`() throws {
        let days: (Int64) -> JSONValue = { count in
            .string("1980-01-01:\(CivilDate(daysSince1970: 3_652 + count - 1))")
        }
        #expect(
            try spec(["time_range": days(10_000), "shard_days": .integer(1)]).shardCount == 10_000)
        let error = #expect(throws: RequestError.self) {
            try spec(["time_range": days(10_001), "shard_days": .integer(1)])
        }
        #expect(error?.hint == "At most 10000: at least 2 days each")
    }

    typealias Backfill = BackfillMachine

    @Test(arguments: [
        (Backfill.State.running, Backfill.Input.pause, Backfill.Answer.changed, Backfill.State.paused),
        (.running, .resume, .met, .running),
        (.running, .cancel, .changed, .cancelling),
        (.running, .retry, .retryFailedShards, .running),
        (.running, .shardsOver(failed: 0), .changed, .finished),
        (.running, .shardsOver(failed: 2), .changed, .failed),
        (.paused, .pause, .met, .paused),
        (.paused, .resume, .changed, .running),
        (.paused, .cancel, .changed, .cancelling),
        (.paused, .retry, .retryFailedShards, .paused),
        (.paused, .shardsOver(failed: 0), .changed, .finished),
        (.paused, .shardsOver(failed: 1), .changed, .failed),
        (.cancelling, .pause, .refuse, .cancelling),
        (.cancelling, .resume, .refuse, .cancelling),
        (.cancelling, .cancel, .met, .cancelling),
        (.cancelling, .retry, .refuse, .cancelling),
        (.cancelling, .shardsOver(failed: 3), .changed, .cancelled),
        (.failed, .pause, .refuse, .failed),
        (.failed, .resume, .refuse, .failed),
        (.failed, .cancel, .refuse, .failed),
        (.failed, .retry, .retryFailedShards, .running),
        (.failed, .shardsOver(failed: 1), .met, .failed),
        (.finished, .pause, .refuse, .finished),
        (.finished, .resume, .refuse, .finished),
        (.finished, .cancel, .refuse, .finished),
        (.finished, .retry, .refuse, .finished),
        (.finished, .shardsOver(failed: 1), .met, .finished),
        (.cancelled, .pause, .refuse, .cancelled),
        (.cancelled, .resume, .refuse, .cancelled),
        (.cancelled, .cancel, .met, .cancelled),
        (.cancelled, .retry, .refuse, .cancelled),
        (.cancelled, .shardsOver(failed: 0), .met, .cancelled),
    ])
    func `a backfill answers each input in each state`(
        before: Backfill.State, input: Backfill.Input, answer: Backfill.Answer, after: Backfill.State
    ) {
        var machine = Backfill(before)
        #expect(machine.apply(input) == answer)
        #expect(machine.state == after)
    }

    typealias Shard = ShardMachine

    @Test(arguments: [
        (Shard.State.waiting, true, Shard.Input.launch, Shard.Answer.changed, Shard.State.starting),
        (.waiting, false, .launch, .ignore, .waiting),
        (.waiting, true, .started(attempt: 1), .ignore, .waiting),
        (.waiting, true, .refused(attempt: 1, reason: "x"), .ignore, .waiting),
        (.waiting, true, .queueEnded(attempt: 1, .finished, reason: nil), .ignore, .waiting),
        (.waiting, true, .cancel, .changed, .cancelled),
        (.waiting, true, .retry, .ignore, .waiting),
        (.starting, true, .launch, .ignore, .starting),
        (.starting, true, .started(attempt: 1), .changed, .running),
        (.starting, true, .started(attempt: 2), .ignore, .starting),
        (.starting, false, .started(attempt: 1), .stopQueue, .running),
        (.starting, true, .refused(attempt: 1, reason: "x"), .changed, .failed),
        (.starting, true, .refused(attempt: 0, reason: "x"), .ignore, .starting),
        (.starting, false, .refused(attempt: 1, reason: "x"), .changed, .cancelled),
        (.starting, true, .queueEnded(attempt: 1, .finished, reason: nil), .ignore, .starting),
        (.starting, true, .cancel, .changed, .starting),
        (.starting, true, .retry, .ignore, .starting),
        (.running, true, .launch, .ignore, .running),
        (.running, true, .started(attempt: 1), .ignore, .running),
        (.running, true, .refused(attempt: 1, reason: "x"), .ignore, .running),
        (.running, true, .queueEnded(attempt: 1, .finished, reason: nil), .changed, .finished),
        (.running, true, .queueEnded(attempt: 1, .failed, reason: "y"), .changed, .failed),
        (.running, true, .queueEnded(attempt: 1, .stopped, reason: nil), .changed, .failed),
        (.running, true, .queueEnded(attempt: 1, .running, reason: nil), .ignore, .running),
        (.running, true, .queueEnded(attempt: 2, .finished, reason: nil), .ignore, .running),
        (.running, false, .queueEnded(attempt: 1, .stopped, reason: nil), .changed, .cancelled),
        (.running, false, .queueEnded(attempt: 1, .finished, reason: nil), .changed, .finished),
        (.running, true, .cancel, .stopQueue, .running),
        (.running, false, .cancel, .ignore, .running),
        (.running, true, .retry, .ignore, .running),
        (.failed, true, .retry, .changed, .waiting),
        (.failed, true, .launch, .ignore, .failed),
        (.failed, true, .cancel, .ignore, .failed),
        (.finished, true, .retry, .ignore, .finished),
        (.finished, true, .launch, .ignore, .finished),
        (.cancelled, true, .retry, .ignore, .cancelled),
        (.cancelled, true, .launch, .ignore, .cancelled),
    ])
    func `a shard answers each input in each state`(
        before: Shard.State, isWanted: Bool, input: Shard.Input, answer: Shard.Answer, after: Shard.State
    ) {
        var machine = Shard(state: before, attempt: 1, isWanted: isWanted)
        #expect(machine.apply(input) == answer)
        #expect(machine.state == after)
    }

    @Test func `each try of a shard has its own number`() {
        var machine = Shard()
        for attempt in 1...3 {
            _ = machine.apply(.launch)
            #expect(machine.attempt == attempt)
            #expect(machine.apply(.refused(attempt: attempt, reason: "no")) == .changed)
            #expect(machine.reason == "no")
            #expect(machine.apply(.retry) == .changed)
        }
    }

    @Test func `no order of events leads a shard out of a final state`() {
        for seed in UInt64(0)..<2_000 {
            var random = SplitMix64(seed: seed)
            var machine = Shard()
            for _ in 0..<30 {
                let before = machine
                let answer = machine.apply(input(around: machine.attempt, using: &random))
                #expect(!before.state.isFinal || machine == before, "seed \(seed)")
                #expect(machine.attempt >= before.attempt && (before.isWanted || !machine.isWanted))
                #expect((answer == .ignore) == (machine == before), "seed \(seed): \(before) → \(machine)")
                #expect(machine.isWanted || machine.state != .failed, "seed \(seed)")
            }
        }
    }

    private func input(around attempt: Int, using random: inout SplitMix64) -> Shard.Input {
        let number = attempt + Int.random(in: -1...1, using: &random)
        switch Int.random(in: 0..<12, using: &random) {
        case 0, 1, 2: return .launch
        case 3, 4, 5: return .started(attempt: number)
        case 6: return .refused(attempt: number, reason: "r")
        case 7, 8:
            let status = QueueStatus.allCases.randomElement(using: &random) ?? .finished
            return .queueEnded(attempt: number, status, reason: nil)
        case 9: return .cancel
        default: return .retry
        }
    }

    @Test(arguments: [
        (
            Backfill.State.running, [Shard.State.waiting: 5, .running: 1, .starting: 1],
            [BackfillPlanner.Decision.launch(2)]
        ),
        (.running, [.waiting: 1, .finished: 9], [.launch(1)]),
        (.running, [.waiting: 5, .running: 4], []),
        (.running, [.waiting: 5, .running: 7], []),
        (.running, [.finished: 10], [.end(failed: 0)]),
        (.running, [.finished: 8, .failed: 2], [.end(failed: 2)]),
        (.paused, [.waiting: 5], []),
        (.paused, [.finished: 5], [.end(failed: 0)]),
        (.cancelling, [.waiting: 5, .running: 1], [.cancelShards, .stopUnwanted]),
        (.cancelling, [.cancelled: 5, .failed: 1], [.end(failed: 1)]),
        (.failed, [.failed: 5], []),
        (.finished, [.finished: 5], []),
        (.cancelled, [.cancelled: 5], []),
    ])
    func `plans what is next`(
        state: Backfill.State, counts: [Shard.State: Int], expected: [BackfillPlanner.Decision]
    ) {
        #expect(BackfillPlanner.decide(state, ShardCounts(counts), parallelism: 4) == expected)
    }

    @Test func `tells how far it is`() {
        let none = BackfillProgress(ShardCounts([.waiting: 4]), parallelism: 2, meanSeconds: nil)
        #expect(none.shareDone == 0 && none.secondsLeft == nil)
        let half = BackfillProgress(
            ShardCounts([.waiting: 3, .running: 2, .finished: 5]), parallelism: 2, meanSeconds: 10)
        #expect(half.shareDone == 0.5 && half.secondsLeft == 20)
        let over = BackfillProgress(ShardCounts([.finished: 3, .failed: 1]), parallelism: 2, meanSeconds: 10)
        #expect(over.shareDone == 0.75 && over.secondsLeft == 0)
    }

    /// A whole backfill by the machines and the planner alone, with queues that end as they like.
    @Test func `every backfill comes to rest and runs no more queues than it may`() {
        for seed in UInt64(0)..<300 {
            var random = SplitMix64(seed: seed)
            var backfill = Backfill()
            var shards = [Shard](repeating: Shard(), count: 12)
            for step in 0..<400 where !backfill.state.isAtRest {
                // Requests come early; from then on it must end by itself.
                if step < 40 { ask(&backfill, &shards, using: &random) } else { _ = backfill.apply(.resume) }
                let counts = ShardCounts(Dictionary(grouping: shards, by: \.state).mapValues(\.count))
                for decision in BackfillPlanner.decide(backfill.state, counts, parallelism: 3) {
                    perform(decision, &backfill, &shards)
                }
                #expect(shards.count { $0.state == .starting || $0.state == .running } <= 3, "seed \(seed)")
                for index in shards.indices where Bool.random(using: &random) {
                    _ = shards[index].apply(
                        input(around: shards[index].attempt, using: &random, in: shards[index]))
                }
            }
            #expect(backfill.state.isAtRest, "seed \(seed): \(backfill.state)")
            #expect(shards.allSatisfy { $0.state.isOver }, "seed \(seed)")
            #expect(backfill.state != .finished || shards.allSatisfy { $0.state == .finished })
        }
    }

    private func ask(_ backfill: inout Backfill, _ shards: inout [Shard], using random: inout SplitMix64) {
        let requests: [Backfill.Input] = [.pause, .resume, .retry]
        guard
            let request = Int.random(in: 0..<60, using: &random) == 0
                ? .cancel : requests.randomElement(using: &random)
        else { return }
        if backfill.apply(request) == .retryFailedShards {
            for index in shards.indices { _ = shards[index].apply(.retry) }
        }
    }

    private func perform(
        _ decision: BackfillPlanner.Decision, _ backfill: inout Backfill, _ shards: inout [Shard]
    ) {
        switch decision {
        case .launch(let count):
            for index in shards.indices.filter({ shards[$0].state == .waiting }).prefix(count) {
                _ = shards[index].apply(.launch)
            }
        case .cancelShards: for index in shards.indices { _ = shards[index].apply(.cancel) }
        case .stopUnwanted: break
        case .end(let failed): _ = backfill.apply(.shardsOver(failed: failed))
        }
    }

    /// What the world may tell of a shard in its state.
    private func input(
        around attempt: Int, using random: inout SplitMix64, in shard: Shard
    ) -> Shard.Input {
        switch shard.state {
        case .starting:
            Int.random(in: 0..<5, using: &random) == 0
                ? .refused(attempt: attempt, reason: "no") : .started(attempt: attempt)
        default:
            .queueEnded(
                attempt: attempt, [.finished, .finished, .failed].randomElement(using: &random) ?? .finished,
                reason: nil)
        }
    }
}
