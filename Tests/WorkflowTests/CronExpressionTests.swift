import Testing
import Workflow

@Suite struct CronExpressionTests {
    private func times(_ cron: String, _ zone: String, after: String, _ count: Int) throws -> [String] {
        let expression = try CronExpression(cron)
        let zone = try #require(ScheduleZone(zone))
        let start = try #require(UTCText.parse(after))
        return expression.next(count, after: start, in: zone).map(UTCText.seconds)
    }

    @Test(arguments: [
        ("* * * * *", ["2024-02-28T12:01:00Z", "2024-02-28T12:02:00Z"]),
        ("*/20 * * * *", ["2024-02-28T12:20:00Z", "2024-02-28T12:40:00Z", "2024-02-28T13:00:00Z"]),
        ("5-15/5 9,17 * * *", ["2024-02-28T17:05:00Z", "2024-02-28T17:10:00Z", "2024-02-28T17:15:00Z"]),
        ("0 12 * * *", ["2024-02-29T12:00:00Z", "2024-03-01T12:00:00Z"]),
        ("30 2 * * MON-FRI", ["2024-02-29T02:30:00Z", "2024-03-01T02:30:00Z", "2024-03-04T02:30:00Z"]),
        ("0 0 * * sat,Sun", ["2024-03-02T00:00:00Z", "2024-03-03T00:00:00Z"]),
        ("0 0 * * 5-7", ["2024-03-01T00:00:00Z", "2024-03-02T00:00:00Z", "2024-03-03T00:00:00Z"]),
        ("0 0 * * FRI-SUN", ["2024-03-01T00:00:00Z", "2024-03-02T00:00:00Z", "2024-03-03T00:00:00Z"]),
        ("0 0 L * *", ["2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z", "2024-04-30T00:00:00Z"]),
        ("0 0 15,L FEB-MAR *", ["2024-02-29T00:00:00Z", "2024-03-15T00:00:00Z", "2024-03-31T00:00:00Z"]),
        ("0 0 31 * *", ["2024-03-31T00:00:00Z", "2024-05-31T00:00:00Z"]),
        ("0 6 29 2 *", ["2024-02-29T06:00:00Z", "2028-02-29T06:00:00Z"]),
        ("@hourly", ["2024-02-28T13:00:00Z"]),
        ("@daily", ["2024-02-29T00:00:00Z"]),
        ("@Midnight", ["2024-02-29T00:00:00Z"]),
        ("@weekly", ["2024-03-03T00:00:00Z"]),
        ("@monthly", ["2024-03-01T00:00:00Z"]),
        ("@yearly", ["2025-01-01T00:00:00Z"]),
        ("@annually", ["2025-01-01T00:00:00Z"]),
    ])
    func `fires when it says`(cron: String, expected: [String]) throws {
        #expect(try times(cron, "UTC", after: "2024-02-28T12:00:00Z", expected.count) == expected)
    }

    @Test(arguments: [
        // Both day fields leave something out: either will do.
        ("0 0 13 * FRI", ["2024-09-06T00:00:00Z", "2024-09-13T00:00:00Z", "2024-09-20T00:00:00Z"]),
        ("0 0 3 * 1", ["2024-09-02T00:00:00Z", "2024-09-03T00:00:00Z", "2024-09-09T00:00:00Z"]),
        // One names every day: the other decides.
        ("0 0 1-31 * FRI", ["2024-09-06T00:00:00Z", "2024-09-13T00:00:00Z"]),
        ("0 0 13 * 0-6", ["2024-09-13T00:00:00Z", "2024-10-13T00:00:00Z"]),
    ])
    func `a day will do when either of two day fields names it`(cron: String, expected: [String]) throws {
        #expect(try times(cron, "UTC", after: "2024-09-01T00:00:00Z", expected.count) == expected)
    }

    @Test func `waits eight years for a leap day where it must`() throws {
        let expected = ["2096-02-29T12:00:00Z", "2104-02-29T12:00:00Z"]
        #expect(try times("0 12 29 2 *", "UTC", after: "2095-01-01T00:00:00Z", 2) == expected)
    }

    @Test(arguments: [
        // The clock goes from 02:00 to 03:00 on 31 March: 02:30 comes at 03:00.
        (
            "30 2 * * *", "Europe/Berlin", "2024-03-30T00:00:00Z",
            ["2024-03-30T01:30:00Z", "2024-03-31T01:00:00Z", "2024-04-01T00:30:00Z"]
        ),
        // Two times that do not exist come once.
        (
            "0,30 2 * * *", "Europe/Berlin", "2024-03-30T12:00:00Z",
            ["2024-03-31T01:00:00Z", "2024-04-01T00:00:00Z"]
        ),
        (
            "30 2,3 * * *", "Europe/Berlin", "2024-03-30T12:00:00Z",
            ["2024-03-31T01:00:00Z", "2024-03-31T01:30:00Z", "2024-04-01T00:30:00Z"]
        ),
        // From 03:00 to 02:00 on 27 October: the first 02:30 counts.
        (
            "30 2 * * *", "Europe/Berlin", "2024-10-26T12:00:00Z",
            ["2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z"]
        ),
        (
            "30 2 * * *", "Europe/Berlin", "2024-10-27T00:45:00Z", ["2024-10-28T01:30:00Z"]
        ),
        // Every hour means every hour that passes.
        (
            "*/30 * * * *", "Europe/Berlin", "2024-10-26T23:45:00Z",
            ["2024-10-27T00:00:00Z", "2024-10-27T00:30:00Z", "2024-10-27T01:00:00Z", "2024-10-27T01:30:00Z"]
        ),
        (
            "30 * * * *", "Europe/Berlin", "2024-03-31T00:00:00Z",
            ["2024-03-31T00:30:00Z", "2024-03-31T01:30:00Z", "2024-03-31T02:30:00Z"]
        ),
        (
            "15 2 * * *", "America/New_York", "2024-03-09T12:00:00Z",
            ["2024-03-10T07:00:00Z", "2024-03-11T06:15:00Z"]
        ),
        (
            "30 1 * * *", "America/New_York", "2024-11-02T12:00:00Z",
            ["2024-11-03T05:30:00Z", "2024-11-04T06:30:00Z"]
        ),
        (
            "30 * * * *", "America/New_York", "2024-11-03T05:00:00Z",
            ["2024-11-03T05:30:00Z", "2024-11-03T06:30:00Z", "2024-11-03T07:30:00Z"]
        ),
        // Every second hour names its hours: 02:00 comes at 03:00.
        (
            "0 */2 * * *", "America/New_York", "2024-03-10T04:30:00Z",
            ["2024-03-10T05:00:00Z", "2024-03-10T07:00:00Z", "2024-03-10T08:00:00Z"]
        ),
        // Lord Howe's clock goes from 02:00 to 02:30 on 6 October, by half an hour.
        (
            "15 2 * * *", "Australia/Lord_Howe", "2024-10-05T00:00:00Z",
            ["2024-10-05T15:30:00Z", "2024-10-06T15:15:00Z"]
        ),
        (
            "0 * * * *", "Australia/Lord_Howe", "2024-10-05T14:00:00Z",
            ["2024-10-05T14:30:00Z", "2024-10-05T16:00:00Z", "2024-10-05T17:00:00Z"]
        ),
        // And from 02:00 to 01:30 on 7 April.
        (
            "45 1 * * *", "Australia/Lord_Howe", "2024-04-06T00:00:00Z",
            ["2024-04-06T14:45:00Z", "2024-04-07T15:15:00Z"]
        ),
        (
            "45 * * * *", "Australia/Lord_Howe", "2024-04-06T14:00:00Z",
            ["2024-04-06T14:45:00Z", "2024-04-06T15:15:00Z", "2024-04-06T16:15:00Z"]
        ),
        // Samoa left out 30 December 2011: its noon comes with the next day.
        (
            "0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z",
            ["2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"]
        ),
        // Midnight did not exist in Beirut on 31 March 2024.
        (
            "@daily", "Asia/Beirut", "2024-03-30T00:00:00Z",
            ["2024-03-30T22:00:00Z", "2024-03-31T21:00:00Z"]
        ),
    ])
    func `keeps to the wall clock when that is changed`(
        cron: String, zone: String, after: String, expected: [String]
    ) throws {
        #expect(try times(cron, zone, after: after, expected.count) == expected)
    }

    @Test(arguments: [
        ("* * * *", nil, "it has 4 fields", "Five: minute hour"),
        ("", nil, "it has 0 fields", "Five: minute hour"),
        ("@reboot", nil, "there is no such name", "@daily"),
        ("60 * * * *", "minute", "there is no minute 60", "0 to 59"),
        ("-1 * * * *", "minute", "something is missing", "0 to 59"),
        ("+1 * * * *", "minute", "there is no minute +1", "0 to 59"),
        ("* 24 * * *", "hour", "there is no hour 24", "0 to 23"),
        ("* 5-3 * * *", "hour", "5-3 is reversed", "5-23,0-3"),
        ("* * 0 * *", "day-of-month", "there is no day-of-month 0", "L for the last day"),
        ("* * * 13 *", "month", "there is no month 13", "JAN to DEC"),
        ("* * * FOO *", "month", "there is no month FOO", "JAN to DEC"),
        ("* * * * 8", "day-of-week", "there is no day-of-week 8", "SUN to SAT"),
        ("* * * * FRI-MON", "day-of-week", "FRI-MON is reversed", "FRI-7,0-MON"),
        ("1,,2 * * * *", "minute", "something is missing", "0 to 59"),
        ("5/10 * * * *", "minute", "a step needs a range", "5-59/"),
        ("*/0 * * * *", "minute", "0 is no step", "1 to 59"),
        ("*/90 * * * *", "minute", "90 is no step", "1 to 59"),
        ("*/2/3 * * * *", "minute", "*/2/3 has more than one step", "0 to 59"),
        ("L * * * *", "minute", "there is no minute L", "0 to 59"),
        ("0 0 30 2 *", "day-of-month", "it never fires: the months 2 have at most 29 days", "up to 29"),
        ("0 0 31 4,jun *", "day-of-month", "it never fires", "up to 30"),
    ])
    func `says what is wrong with an expression`(
        text: String, field: String?, message: String, hint: String
    ) {
        do {
            _ = try CronExpression(text)
            Issue.record("it was taken")
        } catch {
            #expect(error.field == field)
            #expect(error.message.contains(message), "\(error)")
            #expect(error.hint.contains(hint), "\(error)")
        }
    }

    @Test(arguments: ["Mars/Base", "europe/berlin", "EST", "GMT+3", "", "Berlin"])
    func `knows no zone by another name than its own`(name: String) {
        #expect(ScheduleZone(name) == nil)
    }

    /// Another way to the same answer: minute by minute through real time.
    private func oracle(_ minutes: Set<Int>, _ hours: Set<Int>, after time: Int64, _ zone: ScheduleZone)
        -> Int64?
    {
        let start = time / 60 * 60
        let steps = stride(from: start - 3 * 3_600, through: start + 49 * 3_600, by: 60).map { $0 }
        var seen: Set<LocalMinute> = []
        for (index, instant) in steps.enumerated() {
            let local = zone.local(at: instant)
            let isNamed = minutes.contains(local.minute % 60) && hours.contains(local.minute / 60)
            let isFirst = seen.insert(local).inserted
            var fires = isNamed && (isFirst || hours.count == 24)
            if hours.count < 24, index > 0 {
                // Minutes that were jumped over.
                let before = zone.local(at: steps[index - 1])
                for missing in 1..<max(1, wall(local) - wall(before)) {
                    let minute = (before.minute + missing) % 1_440
                    if minutes.contains(minute % 60), hours.contains(minute / 60) { fires = true }
                }
            }
            if fires, instant > time { return instant }
        }
        return nil
    }

    private func wall(_ local: LocalMinute) -> Int { Int(local.date.daysSince1970) * 1_440 + local.minute }

    @Test(arguments: ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
    func `agrees with a walk through every minute around the changes of the clock`(name: String) throws {
        let zone = try #require(ScheduleZone(name))
        var random = SplitMix64(seed: 7)
        let changes = try [
            "2024-03-31T01:00:00Z", "2024-10-27T01:00:00Z", "2024-03-10T07:00:00Z", "2024-11-03T06:00:00Z",
            "2024-04-06T15:00:00Z", "2024-10-05T15:30:00Z",
        ].map { try #require(UTCText.parse($0)) }
        for round in 0..<60 {
            let minutes = Set(
                (0..<Int.random(in: 1...3, using: &random)).map { _ in
                    Int.random(in: 0...59, using: &random)
                })
            let isEveryHour = Bool.random(using: &random)
            let hours =
                isEveryHour
                ? Set(0...23)
                : Set(
                    (0..<Int.random(in: 1...4, using: &random)).map { _ in
                        Int.random(in: 0...4, using: &random)
                    })
            let list = { (set: Set<Int>) in set.sorted().map(String.init).joined(separator: ",") }
            let text = "\(list(minutes)) \(isEveryHour ? "*" : list(hours)) * * *"
            let change = try #require(changes.randomElement(using: &random))
            let time = change + Int64.random(in: -10_800...10_800, using: &random)
            let expression = try CronExpression(text)
            #expect(
                expression.next(after: time, in: zone) == oracle(minutes, hours, after: time, zone),
                "round \(round): \(text) after \(UTCText.seconds(time))")
        }
    }
}
