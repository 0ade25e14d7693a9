import MarketData
import Testing
import Workflow

@Suite struct BodyPlaceholdersTests {
    private func schedule(_ time: String = "2024-03-01T23:30:00Z", _ zone: String = "Europe/Berlin") throws
        -> BodyPlaceholders
    {
        .schedule(
            try #require(ObjectName("nightly")), fireTime: try #require(UTCText.parse(time)),
            zone: try #require(ScheduleZone(zone)))
    }

    @Test(arguments: [
        ("${schedule.day}", "2024-03-01"),
        ("${schedule.day-1}", "2024-02-29"),
        ("${schedule.day+1}", "2024-03-02"),
        ("${schedule.day-1}:${schedule.day-1}", "2024-02-29:2024-02-29"),
        ("from ${schedule.day-7} on", "from 2024-02-23 on"),
        ("${schedule.local_day}", "2024-03-02"),
        ("${schedule.local_day-1}", "2024-03-01"),
        ("${schedule.month_first}", "2024-03-01"),
        ("${schedule.month_first-1}:${schedule.month_last-1}", "2024-02-01:2024-02-29"),
        ("${schedule.month_first-3}", "2023-12-01"),
        ("${schedule.month_last}", "2024-03-31"),
        ("${schedule.time}", "2024-03-01T23:30:00Z"),
        ("${schedule.name}", "nightly"),
        ("no placeholder", "no placeholder"),
        // These belong to others.
        (
            "${symbol} ${schedule} $schedule.day ${other.day}",
            "${symbol} ${schedule} $schedule.day ${other.day}"
        ),
    ])
    func `fills in what the fire time says`(text: String, expected: String) throws {
        #expect(try schedule().fill(text, path: "x") == expected)
    }

    @Test func `fills strings at any depth and leaves names and other values alone`() throws {
        let body = JSONValue.object([
            "symbols": .array([.string("BTCUSDT")]), "${schedule.day}": .integer(1),
            "steps": .array([.object(["name": .string("s-${schedule.day}"), "n": .number(1.5)])]),
        ])
        let filled = JSONValue.object([
            "symbols": .array([.string("BTCUSDT")]), "${schedule.day}": .integer(1),
            "steps": .array([.object(["name": .string("s-2024-03-01"), "n": .number(1.5)])]),
        ])
        #expect(try schedule().fill(body, path: "request") == filled)
    }

    @Test(arguments: [
        "${schedule.yesterday}", "${schedule.day-}", "${schedule.day--1}", "${schedule.day-99999}",
        "${schedule.day-1x}", "${schedule.time-1}", "${schedule.}", "${schedule.day",
    ])
    func `refuses what it does not know and says where`(text: String) throws {
        let body = JSONValue.object(["steps": .array([.object(["time_range": .string(text)])])])
        do {
            _ = try schedule().fill(body, path: "request")
            Issue.record("it was taken")
        } catch let error as RequestError {
            #expect(error.field == "request.steps[0].time_range")
            #expect(error.hint?.contains("${schedule.day-1}") == true)
        }
    }

    @Test func `fills in what a shard says`() throws {
        let range = try #require(DayRange("2024-01-01:2024-01-31"))
        let placeholders = BodyPlaceholders.shard(range, number: 3)
        let text = try placeholders.fill(
            "${shard.range} ${shard.first} ${shard.last} ${shard.number}", path: "x")
        #expect(text == "2024-01-01:2024-01-31 2024-01-01 2024-01-31 3")
        #expect(placeholders.isUsed(in: .array([.string("a ${shard.first}")])))
        #expect(!placeholders.isUsed(in: .string("${schedule.day}")))
    }
}
