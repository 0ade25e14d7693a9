import Testing
import Workflow

@Suite struct SchedulePlannerTests {
    private static let name = ObjectName("nightly")

    private func spec(_ fields: [String: JSONValue] = [:]) throws -> ScheduleSpec {
        let base: [String: JSONValue] = [
            "cron": .string("*/10 * * * *"), "request": .object(["type": .string("dummy")]),
        ]
        return try ScheduleSpec(
            ObjectReader(
                .object(base.merging(fields) { $1 }), path: "", known: ScheduleSpec.fields))
    }

    /// - Parameter now: minutes after 2024-08-01T00:00:00Z, up to which nothing is decided.
    private func snapshot(
        _ fields: [String: JSONValue] = [:], now minutes: Int64, fired: Int = 0, waiting: [Int64] = [],
        starting: Int = 0, running: Int = 0, isPaused: Bool = false
    ) throws -> ScheduleSnapshot {
        ScheduleSnapshot(
            name: try #require(Self.name), spec: try spec(fields), isPaused: isPaused,
            decidedUpTo: Self.time(0), firedCount: fired, waiting: waiting, startingCount: starting,
            runningCount: running, now: Self.time(minutes) * 1_000)
    }

    private static func time(_ minutes: Int64) -> Int64 { 1_722_470_400 + minutes * 60 }

    @Test func `starts what is due and says when the next is`() throws {
        let plan = SchedulePlanner.plan(try snapshot(now: 11))
        #expect(plan.decisions == [.start(fireTime: Self.time(10))])
        #expect(plan.decidedUpTo == Self.time(10) && plan.firedCount == 1)
        #expect(plan.nextDue == Self.time(20) * 1_000)
    }

    @Test func `decides nothing before it is time, while it is paused, and when the clock goes back`() throws
    {
        let early = SchedulePlanner.plan(try snapshot(now: 9))
        #expect(early.decisions.isEmpty && early.nextDue == Self.time(10) * 1_000)
        let back = SchedulePlanner.plan(try snapshot(now: -500))
        #expect(back.decisions.isEmpty && back.nextDue == Self.time(10) * 1_000)
        let paused = SchedulePlanner.plan(try snapshot(now: 500, waiting: [7], isPaused: true))
        #expect(paused.decisions.isEmpty && paused.nextDue == nil && paused.decidedUpTo == Self.time(0))
    }

    @Test(arguments: [
        (OverlapPolicy.allow, [SchedulePlan.Decision.start(fireTime: time(10)), .start(fireTime: time(20))]),
        (
            .skip,
            [
                .start(fireTime: time(10)),
                .skip(fireTime: time(20), reason: "The firing before it still runs"),
            ]
        ),
        (.queueOne, [.start(fireTime: time(10)), .wait(fireTime: time(20))]),
        (
            .stopPrevious,
            [.skip(fireTime: time(10), reason: "A newer firing took its place"), .start(fireTime: time(20))]
        ),
    ])
    func `two due at once follow the policy`(policy: OverlapPolicy, expected: [SchedulePlan.Decision]) throws
    {
        let plan = SchedulePlanner.plan(try snapshot(["overlap": .string(policy.rawValue)], now: 25))
        #expect(plan.decisions == expected)
    }

    @Test(arguments: [
        (OverlapPolicy.allow, [SchedulePlan.Decision.start(fireTime: time(10))]),
        (.skip, [.skip(fireTime: time(10), reason: "The firing before it still runs")]),
        (.queueOne, [.wait(fireTime: time(10))]),
        (.stopPrevious, [.wait(fireTime: time(10)), .stopRunning]),
    ])
    func `one due while a queue runs follows the policy`(
        policy: OverlapPolicy, expected: [SchedulePlan.Decision]
    ) throws {
        let plan = SchedulePlanner.plan(
            try snapshot(["overlap": .string(policy.rawValue)], now: 15, running: 1))
        #expect(plan.decisions == expected)
    }

    @Test func `a queue that is only being created counts as running`() throws {
        let plan = SchedulePlanner.plan(try snapshot(now: 15, starting: 1))
        #expect(plan.decisions == [.skip(fireTime: Self.time(10), reason: "The firing before it still runs")])
    }

    @Test func `at most one waits, and it goes when nothing runs`() throws {
        let queueOne: [String: JSONValue] = ["overlap": .string("queue_one")]
        let full = SchedulePlanner.plan(try snapshot(queueOne, now: 15, waiting: [4], running: 1))
        #expect(full.decisions == [.skip(fireTime: Self.time(10), reason: "One waits already")])
        let free = SchedulePlanner.plan(try snapshot(queueOne, now: 5, waiting: [4]))
        #expect(free.decisions == [.release(4)])
        let both = SchedulePlanner.plan(try snapshot(queueOne, now: 15, waiting: [4]))
        #expect(both.decisions == [.release(4), .wait(fireTime: Self.time(10))])
    }

    @Test func `a newer firing takes the place of the one that waits for the stop`() throws {
        let stop: [String: JSONValue] = ["overlap": .string("stop_previous")]
        let plan = SchedulePlanner.plan(try snapshot(stop, now: 15, waiting: [4], running: 1))
        #expect(
            plan.decisions == [
                .drop(4, reason: "A newer firing took its place"), .wait(fireTime: Self.time(10)),
                .stopRunning,
            ])
        let again = SchedulePlanner.plan(try snapshot(stop, now: 5, waiting: [4], running: 1))
        #expect(again.decisions == [.stopRunning])
    }

    @Test func `after a long sleep old firings are missed and the newest caught up, oldest first`() throws {
        let fields: [String: JSONValue] = [
            "overlap": .string("allow"), "catch_up_seconds": .integer(3_600), "catch_up_max": .integer(2),
        ]
        let plan = SchedulePlanner.plan(try snapshot(fields, now: 1_440 * 3 + 5))
        let last = Int64(1_440 * 3)
        #expect(
            plan.decisions == [
                .missed(
                    first: Self.time(10), last: Self.time(last - 60), count: 426,
                    reason: "It was later than 3600 s (catch_up_seconds)"),
                .missed(
                    first: Self.time(last - 50), last: Self.time(last - 20), count: 4,
                    reason: "More than 2 were due at once (catch_up_max)"),
                .start(fireTime: Self.time(last - 10)), .start(fireTime: Self.time(last)),
            ])
        #expect(plan.decidedUpTo == Self.time(last))
    }

    @Test func `a sleep of months is gone through in several looks`() throws {
        var snapshot = try snapshot(["cron": .string("* * * * *")], now: 1_440 * 100)
        var missed = 0
        var looks = 0
        repeat {
            let plan = SchedulePlanner.plan(snapshot)
            for case .missed(_, _, let count, _) in plan.decisions { missed += count }
            (snapshot.decidedUpTo, looks) = (plan.decidedUpTo, looks + 1)
            if plan.nextDue.map({ $0 > snapshot.now }) ?? true { break }
        } while looks < 1_000
        // The newest ten of the last hour are started or skipped, the others are missed.
        #expect(missed == 1_440 * 100 - 10 && looks > 10 && looks < 20)
    }

    @Test func `until and count end it`() throws {
        let until = try snapshot(["until": .string("2024-08-01T00:10:00Z")], now: 55)
        #expect(SchedulePlanner.plan(until).decisions == [.start(fireTime: Self.time(10))])
        #expect(SchedulePlanner.plan(until).nextDue == nil)
        let fields: [String: JSONValue] = ["overlap": .string("allow"), "count": .integer(2)]
        let counted = SchedulePlanner.plan(try snapshot(fields, now: 55))
        #expect(counted.decisions == [.start(fireTime: Self.time(10)), .start(fireTime: Self.time(20))])
        #expect(counted.firedCount == 2 && counted.nextDue == nil)
        #expect(SchedulePlanner.plan(try snapshot(fields, now: 55, fired: 2)).decisions.isEmpty)
    }

    @Test func `jitter puts a firing off, within its bound and always by the same`() throws {
        let spec = try spec(["jitter_seconds": .integer(300)])
        let name = try #require(Self.name)
        let delays = (0..<200).map { spec.jitterMilliseconds(of: name, fireTime: Self.time($0)) }
        #expect(delays.allSatisfy { (0...300_000).contains($0) })
        #expect(Set(delays).count > 190 && (delays.max() ?? 0) > 250_000 && (delays.min() ?? 0) < 50_000)
        #expect(delays == (0..<200).map { spec.jitterMilliseconds(of: name, fireTime: Self.time($0)) })
        var snapshot = try snapshot(["jitter_seconds": .integer(300)], now: 10)
        let due = Self.time(10) * 1_000 + spec.jitterMilliseconds(of: name, fireTime: Self.time(10))
        snapshot.now = due - 1
        #expect(SchedulePlanner.plan(snapshot).decisions.isEmpty)
        #expect(SchedulePlanner.plan(snapshot).nextDue == due)
        snapshot.now = due
        #expect(SchedulePlanner.plan(snapshot).decisions == [.start(fireTime: Self.time(10))])
    }

    @Test(arguments: [
        ("cron", JSONValue.string("61 * * * *"), "cron"),
        ("time_zone", .string("Europe/Atlantis"), "time_zone"),
        ("overlap", .string("maybe"), "overlap"),
        ("catch_up_seconds", .integer(5), "catch_up_seconds"),
        ("catch_up_max", .integer(0), "catch_up_max"),
        ("jitter_seconds", .integer(100_000), "jitter_seconds"),
        ("until", .string("tomorrow"), "until"),
        ("count", .integer(0), "count"),
        ("request", .null, "request"),
    ])
    func `refuses a field that is not right and names it`(name: String, value: JSONValue, field: String) {
        let error = #expect(throws: RequestError.self) { try spec([name: value]) }
        #expect(error?.field == field && error?.hint != nil)
    }

    /// Random looks at random times, with queues that end at random: every fire time gets exactly one
    /// outcome, in order, and never do more run or wait than the policy allows.
    @Test(arguments: OverlapPolicy.allCases)
    func `every fire time is decided once, whatever happens between looks`(policy: OverlapPolicy) throws {
        for seed in UInt64(0)..<200 {
            var random = SplitMix64(seed: seed)
            var state = try snapshot(
                ["overlap": .string(policy.rawValue), "jitter_seconds": .integer(seed % 2 == 0 ? 0 : 900)],
                now: 0)
            var decided: [Int64] = []
            var number: Int64 = 0
            for _ in 0..<80 {
                state.now += Int64.random(in: -60_000...1_500_000, using: &random)
                if state.runningCount > 0, Bool.random(using: &random) { state.runningCount -= 1 }
                state.runningCount += state.startingCount
                state.startingCount = 0
                let isFree = state.runningCount == 0
                let plan = SchedulePlanner.plan(state)
                for decision in plan.decisions {
                    switch decision {
                    case .missed(let first, let last, let count, _):
                        #expect(first <= last && count > 0)
                        decided += state.spec.cron.next(count, after: first - 1, in: .utc)
                    case .start(let time):
                        decided.append(time)
                        state.startingCount += 1
                    case .wait(let time):
                        decided.append(time)
                        number += 1
                        state.waiting.append(number)
                    case .skip(let time, _): decided.append(time)
                    case .release(let id):
                        #expect(state.waiting.first == id && isFree, "seed \(seed)")
                        state.waiting.removeFirst()
                        state.startingCount += 1
                    case .drop(let id, _): state.waiting.removeAll { $0 == id }
                    case .stopRunning: #expect(policy == .stopPrevious && !isFree)
                    }
                }
                #expect(policy == .allow || state.runningCount + state.startingCount <= 1, "seed \(seed)")
                #expect(state.waiting.count <= 1, "seed \(seed)")
                #expect(plan.decidedUpTo >= state.decidedUpTo)
                state.decidedUpTo = plan.decidedUpTo
                state.firedCount = plan.firedCount
            }
            let expected = state.spec.cron.next(decided.count, after: Self.time(0), in: .utc)
            #expect(decided.sorted() == expected, "seed \(seed)")
            #expect(expected.last == state.decidedUpTo || decided.isEmpty, "seed \(seed)")
        }
    }
}
