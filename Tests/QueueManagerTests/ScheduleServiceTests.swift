import Foundation
import TestSupport
import Testing
import Workflow

@testable import QueueManager

@Suite(.timeLimit(.minutes(2)))
struct ScheduleServiceTests {
    private let name = ObjectName("nightly")

    /// A schedule of every minute, made at 12:00:30 of 2024-08-02.
    private func withSchedule(
        _ fields: [String: JSONValue] = [:], _ body: (PlannedFixture, ObjectName) async throws -> Void
    ) async throws {
        let name = try #require(name)
        try await withPostgres { pool in
            let fixture = try await PlannedFixture(pool)
            try await fixture.setClock("2024-08-02T12:00:30Z")
            #expect(try await fixture.schedules.create(name, try fixture.spec(fields)))
            try await body(fixture, name)
        }
    }

    @Test func `starts the request of the minute, with the day filled in, once`() async throws {
        try await withSchedule { fixture, name in
            try await fixture.settleSchedules()
            #expect(try await fixture.queueIDs().isEmpty)
            fixture.advance(seconds: 60)
            try await fixture.settleSchedules()
            try await fixture.settleSchedules("two")
            let queue = try #require(try await fixture.queueIDs().first)
            #expect(try await fixture.queueIDs().count == 1)
            #expect(try await fixture.engine.queue(queue)?.queue.plan.timeRange == "2024-08-01:2024-08-01")
            let firing = try #require(
                try await fixture.schedules.firings(of: name, before: nil, limit: 5).first)
            #expect(firing.state == .started && firing.queueID == queue)
            #expect(UTCText.seconds(firing.fireTime) == "2024-08-02T12:01:00Z")
            try await fixture.end(queue, .failed)
            fixture.advance(seconds: 2)
            try await fixture.settleSchedules()
            let ended = try await fixture.schedules.firings(of: name, before: nil, limit: 5).first
            #expect(ended?.state == .ended && ended?.queueStatus == "failed")
        }
    }

    @Test func `a crash between creating the queue and writing that down makes no second queue`() async throws
    {
        try await withSchedule { fixture, name in
            fixture.advance(seconds: 60)
            // The first replica decides, creates the queue, and dies.
            let claim = try #require(try await fixture.schedules.claims.claim(limit: 1, token: "dead").first)
            let look = try await fixture.schedules.look(at: claim)
            let firing = try #require(look.starting.first)
            let queue = try await fixture.starter.start(firing.body, firing.idempotencyKey)
            try await fixture.settleSchedules("two")
            #expect(try await fixture.outcomes(name) == ["12:01 starting"])
            try await fixture.expireClaims()
            try await fixture.settleSchedules("two")
            #expect(try await fixture.outcomes(name) == ["12:01 started"])
            #expect(try await fixture.queueIDs() == [queue])
            // The dead one wakes up.
            try await fixture.schedules.recordStarted(firing, queue)
            await #expect(throws: ClaimLost()) { try await fixture.schedules.look(at: claim) }
            #expect(try await fixture.outcomes(name) == ["12:01 started"])
        }
    }

    @Test func `a lost reply is asked for again with the same key`() async throws {
        try await withSchedule { fixture, name in
            fixture.advance(seconds: 60)
            fixture.losesReplies.value = true
            try await fixture.settleSchedules()
            #expect(try await fixture.outcomes(name) == ["12:01 starting"])
            fixture.losesReplies.value = false
            // The exchange is not needed for what is known, and a replaced schedule changes no firing.
            fixture.isExchangeAway.value = true
            #expect(
                try await fixture.schedules.put(name, try fixture.spec(["cron": .string("0 0 1 1 *")]))
                    == .replaced)
            fixture.advance(seconds: 20)
            try await fixture.settleSchedules("two")
            #expect(try await fixture.outcomes(name) == ["12:01 started"])
            #expect(try await fixture.queueIDs().count == 1)
            #expect(Set(fixture.asked.all).count == 1 && fixture.asked.all.count >= 2)
        }
    }

    @Test func `two replicas fire each minute once`() async throws {
        try await withSchedule(["overlap": .string("allow")]) { fixture, name in
            let services = [fixture.scheduleService("one"), fixture.scheduleService("two")]
            for _ in 0..<40 {
                fixture.advance(seconds: 60)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for service in services { group.addTask { _ = try await service.round() } }
                    try await group.waitForAll()
                }
            }
            try await fixture.settleSchedules()
            let firings = try await fixture.schedules.firings(of: name, before: nil, limit: 200)
            let start = try #require(UTCText.parse("2024-08-02T12:01:00Z"))
            let expected: [Int64] = (0..<40).map { start + Int64($0) * 60 }
            let fired: [Int64] = firings.map(\.fireTime).reversed()
            #expect(fired == expected)
            #expect(firings.allSatisfy { $0.state == .started })
            #expect(Set(firings.compactMap(\.queueID)).count == 40)
            #expect(try await fixture.queueIDs().count == 40)
        }
    }

    @Test func `a replica that dies delays no firing by more than five seconds`() async throws {
        try await withSchedule { fixture, name in
            fixture.advance(seconds: 60)
            _ = try #require(try await fixture.schedules.claims.claim(limit: 1, token: "dead").first)
            let began = ContinuousClock.now
            let service = fixture.scheduleService("two")
            let delay = try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await service.run() }
                while try await fixture.outcomes(name) != ["12:01 started"] {
                    try #require(began.duration(to: .now) < .seconds(20))
                    try await Task.sleep(for: .milliseconds(20))
                }
                let delay = began.duration(to: .now)
                group.cancelAll()
                return delay
            }
            #expect(delay < .seconds(5))
        }
    }

    @Test func `after days of sleep the newest are caught up and the others written down as missed`()
        async throws
    {
        let fields: [String: JSONValue] = ["overlap": .string("allow"), "catch_up_max": .integer(3)]
        try await withSchedule(fields) { fixture, name in
            fixture.advance(seconds: 3 * 86_400)
            try await fixture.settleSchedules()
            let firings = Array(
                try await fixture.schedules.firings(of: name, before: nil, limit: 10).reversed())
            #expect(firings.map(\.state) == [.missed, .missed, .started, .started, .started])
            let missed = firings.map(\.missedCount).reduce(0, +)
            #expect(missed == 4_317)
            let newest: [String] = firings.suffix(3).map { UTCText.seconds($0.fireTime) }
            #expect(newest == ["2024-08-05T11:58:00Z", "2024-08-05T11:59:00Z", "2024-08-05T12:00:00Z"])
            let first = try #require(firings.first?.firstMissed)
            #expect(UTCText.seconds(first) == "2024-08-02T12:01:00Z")
        }
    }

    @Test func `skip leaves out what comes while a queue runs`() async throws {
        try await withSchedule { fixture, name in
            for _ in 0..<2 {
                fixture.advance(seconds: 60)
                try await fixture.settleSchedules()
            }
            try await fixture.end(try #require(try await fixture.queueIDs().first))
            fixture.advance(seconds: 60)
            try await fixture.settleSchedules()
            #expect(try await fixture.outcomes(name) == ["12:01 ended", "12:02 skipped", "12:03 started"])
        }
    }

    @Test func `queue_one lets one wait until nothing runs`() async throws {
        try await withSchedule(["overlap": .string("queue_one")]) { fixture, name in
            for _ in 0..<3 {
                fixture.advance(seconds: 60)
                try await fixture.settleSchedules()
            }
            #expect(try await fixture.outcomes(name) == ["12:01 started", "12:02 waiting", "12:03 skipped"])
            try await fixture.end(try #require(try await fixture.queueIDs().first))
            fixture.advance(seconds: 2)
            try await fixture.settleSchedules()
            #expect(try await fixture.outcomes(name) == ["12:01 ended", "12:02 started", "12:03 skipped"])
            #expect(try await fixture.queueIDs().count == 2)
        }
    }

    @Test func `stop_previous stops what runs and starts the newest when it has ended`() async throws {
        try await withSchedule(["overlap": .string("stop_previous")]) { fixture, name in
            for _ in 0..<3 {
                fixture.advance(seconds: 60)
                try await fixture.settleSchedules()
            }
            let first = try #require(try await fixture.queueIDs().first)
            #expect(try await fixture.outcomes(name) == ["12:01 started", "12:02 skipped", "12:03 waiting"])
            #expect(try await fixture.status(first) == .stopping)
            try await fixture.end(first, .stopped)
            fixture.advance(seconds: 2)
            try await fixture.settleSchedules()
            #expect(try await fixture.outcomes(name) == ["12:01 ended", "12:02 skipped", "12:03 started"])
        }
    }

    @Test func `a refused request is a failed firing, and the next one is tried all the same`() async throws {
        let request = JSONValue.object([
            "symbol": .string("NOPEUSDT"), "type": .string("api_candles_1h"),
            "time_range": .string("${schedule.day-1}:${schedule.day-1}"),
        ])
        try await withSchedule(["request": request]) { fixture, name in
            for _ in 0..<2 {
                fixture.advance(seconds: 60)
                try await fixture.settleSchedules()
            }
            #expect(try await fixture.outcomes(name) == ["12:01 failed", "12:02 failed"])
            let firing = try await fixture.schedules.firings(of: name, before: nil, limit: 1).first
            #expect(firing?.reason?.contains("does not know NOPEUSDT") == true)
            #expect(try await fixture.queueIDs().isEmpty)
        }
    }

    @Test func `while the exchange is away a start is tried again, until it is too late`() async throws {
        try await withSchedule(["cron": .string("*/30 * * * *"), "catch_up_seconds": .integer(60)]) {
            fixture, name in
            fixture.isExchangeAway.value = true
            try await fixture.setClock("2024-08-02T12:30:01Z")
            try await fixture.settleSchedules()
            #expect(try await fixture.outcomes(name) == ["12:30 starting"])
            fixture.isExchangeAway.value = false
            fixture.advance(seconds: 20)
            try await fixture.settleSchedules()
            #expect(try await fixture.outcomes(name) == ["12:30 started"])
            fixture.isExchangeAway.value = true
            try await fixture.end(try #require(try await fixture.queueIDs().first))
            try await fixture.setClock("2024-08-02T13:00:01Z")
            for _ in 0..<5 {
                try await fixture.settleSchedules()
                fixture.advance(seconds: 20)
            }
            #expect(try await fixture.outcomes(name) == ["12:30 ended", "13:00 failed"])
            let firing = try await fixture.schedules.firings(of: name, before: nil, limit: 1).first
            #expect(firing?.reason?.contains("the exchange is away") == true && (firing?.tries ?? 0) > 1)
        }
    }

    @Test func `firings of a pause are left out, and a trigger works all the same`() async throws {
        try await withSchedule { fixture, name in
            #expect(try await fixture.schedules.pause(name, reason: "the exchange moves"))
            fixture.advance(seconds: 600)
            try await fixture.settleSchedules()
            #expect(try await fixture.outcomes(name) == [])
            let firing = try #require(try await fixture.schedules.trigger(name, key: "k"))
            let again = try #require(try await fixture.schedules.trigger(name, key: "k"))
            #expect(firing.number == again.number && firing.isManual)
            try await fixture.settleSchedules()
            let queue = try #require(try await fixture.queueIDs().first)
            try await fixture.end(queue)
            #expect(try await fixture.schedules.schedule(name)?.pauseReason == "the exchange moves")
            #expect(try await fixture.schedules.schedule(name)?.nextFireTimes(5) == [])
            #expect(try await fixture.schedules.resume(name))
            fixture.advance(seconds: 60)
            try await fixture.settleSchedules()
            let firings = try await fixture.schedules.firings(of: name, before: nil, limit: 10)
            #expect(firings.map(\.state) == [.started, .ended])
            #expect(UTCText.seconds(firings[0].fireTime) == "2024-08-02T12:11:00Z")
        }
    }

    @Test func `a schedule made anew under an old name does not meet its keys`() async throws {
        try await withSchedule { fixture, name in
            fixture.advance(seconds: 60)
            try await fixture.settleSchedules()
            #expect(try await fixture.schedules.delete(name))
            try await fixture.setClock("2024-08-02T12:00:30Z")
            #expect(try await fixture.schedules.create(name, try fixture.spec()))
            fixture.advance(seconds: 60)
            try await fixture.settleSchedules()
            #expect(try await fixture.outcomes(name) == ["12:01 started"])
            #expect(try await fixture.queueIDs().count == 2)
        }
    }

    @Test func `replacing fires nothing twice, and the same form again changes nothing`() async throws {
        try await withSchedule { fixture, name in
            fixture.advance(seconds: 60)
            try await fixture.settleSchedules()
            let before = try #require(try await fixture.schedules.schedule(name)).generation
            #expect(try await fixture.schedules.put(name, try fixture.spec()) == .unchanged)
            #expect(try await fixture.schedules.schedule(name)?.generation == before)
            let other = try fixture.spec(["overlap": .string("allow")])
            #expect(try await fixture.schedules.put(name, other) == .replaced)
            try await fixture.settleSchedules()
            #expect(try await fixture.outcomes(name) == ["12:01 started"])
            fixture.advance(seconds: 60)
            try await fixture.settleSchedules()
            #expect(try await fixture.outcomes(name) == ["12:01 started", "12:02 started"])
        }
    }

    @Test func `keeps the newest firings, and those whose queue still runs`() async throws {
        try await withSchedule { fixture, name in
            for _ in 0..<(ScheduleStore.firingsKept + 20) {
                fixture.advance(seconds: 60)
                try await fixture.settleSchedules()
            }
            let firings = try await fixture.schedules.firings(of: name, before: nil, limit: 1_000)
            #expect(firings.count == ScheduleStore.firingsKept + 1)
            #expect(firings.last?.state == .started)
        }
    }

    @Test func `pages through schedules by name and through firings by number`() async throws {
        try await withPostgres { pool in
            let fixture = try await PlannedFixture(pool)
            for index in 0..<7 {
                let name = try #require(ObjectName("s-\(index)"))
                #expect(try await fixture.schedules.create(name, try fixture.spec()))
                #expect(try await fixture.schedules.create(name, try fixture.spec()) == false)
            }
            let first = try await fixture.schedules.schedules(after: nil, limit: 4)
            let rest = try await fixture.schedules.schedules(after: first.last?.name, limit: 4)
            let names: [String] = (first + rest).map(\.name.rawValue)
            #expect(names == ["s-0", "s-1", "s-2", "s-3", "s-4", "s-5", "s-6"])
            let name = try #require(ObjectName("s-0"))
            for _ in 0..<5 { _ = try await fixture.schedules.trigger(name, key: nil) }
            let newest = try await fixture.schedules.firings(of: name, before: nil, limit: 3)
            let older = try await fixture.schedules.firings(of: name, before: newest.last?.number, limit: 3)
            let numbers: [Int64] = (newest + older).map(\.number)
            #expect(numbers == numbers.sorted(by: >))
            #expect(newest.count == 3 && older.count == 2)
        }
    }
}
