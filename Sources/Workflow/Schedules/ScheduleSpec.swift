import MarketData

/// What happens when a schedule fires while a queue it started still runs.
package enum OverlapPolicy: String, Sendable, Hashable, CaseIterable {
    /// Both run.
    case allow
    /// The firing is left out.
    case skip
    /// One firing waits until nothing runs; further ones are left out.
    case queueOne = "queue_one"
    /// The running queue is told to stop, and the newest firing begins when it has ended.
    case stopPrevious = "stop_previous"
}

/// A schedule as it was asked for: when to start which request, and what to do when that is not simple.
package struct ScheduleSpec: Sendable, Hashable {
    package static let catchUpSeconds = 10...604_800
    package static let catchUpMax = 1...100
    package static let jitterSeconds = 0...86_400
    package static let countMax = 1...1_000_000

    package var cron: CronExpression
    package var zone: ScheduleZone
    /// The body of `POST /queues/start`, with placeholders.
    package var request: JSONValue
    package var overlap: OverlapPolicy
    /// A firing that is later than this is missed.
    package var catchUpSeconds: Int
    /// Of late firings that are caught up at once, so many of the newest are started.
    package var catchUpMax: Int
    /// Each firing is put off by up to so many seconds, always by the same.
    package var jitterSeconds: Int
    /// The last fire time that counts, Unix seconds.
    package var until: Int64?
    /// It is over after so many firings that were to start a queue.
    package var count: Int?

    /// Reads the fields of `POST /schedules` and `PUT /schedules/{name}` beside the name.
    package init(_ reader: ObjectReader) throws(RequestError) {
        let cronText = try reader.requiredString("cron", hint: "Five fields, e.g. \"30 2 * * *\", or @daily")
        do {
            cron = try CronExpression(cronText)
        } catch {
            let place = error.field.map { " (\($0))" } ?? ""
            throw RequestError(
                .invalidValue, "cron is not valid\(place): \(error.message)", field: reader.place("cron"),
                value: error.value, hint: error.hint)
        }
        let zoneName = try reader.string("time_zone") ?? "UTC"
        guard let zone = ScheduleZone(zoneName) else {
            throw reader.invalid(
                "time_zone", zoneName, "There is no time zone \(zoneName.prefix(40))",
                hint: "An IANA name as it is written there, e.g. Europe/Berlin, America/New_York or UTC")
        }
        self.zone = zone
        guard let request = reader.value("request") else {
            throw RequestError(
                .missingField, "request is missing", field: reader.place("request"),
                hint: "The body of POST /queues/start; time_range may be ${schedule.day-1}:${schedule.day-1}")
        }
        self.request = request
        let overlapText = try reader.string("overlap") ?? OverlapPolicy.skip.rawValue
        guard let overlap = OverlapPolicy(rawValue: overlapText) else {
            throw reader.invalid(
                "overlap", overlapText, "There is no overlap policy \(overlapText.prefix(40))",
                hint: "One of \(OverlapPolicy.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self.overlap = overlap
        catchUpSeconds = try reader.integer("catch_up_seconds", in: Self.catchUpSeconds) ?? 3_600
        catchUpMax = try reader.integer("catch_up_max", in: Self.catchUpMax) ?? 10
        jitterSeconds = try reader.integer("jitter_seconds", in: Self.jitterSeconds) ?? 0
        count = try reader.integer("count", in: Self.countMax)
        if let text = try reader.string("until") {
            guard let time = UTCText.parse(text) else {
                throw reader.invalid(
                    "until", text, "until is no time", hint: "Write it in UTC, e.g. 2025-12-31T23:59:59Z")
            }
            until = time
        }
    }

    package static let fields = [
        "cron", "time_zone", "request", "overlap", "catch_up_seconds", "catch_up_max", "jitter_seconds",
        "until", "count",
    ]

    /// The request of one firing.
    ///
    /// - Parameter fireTime: Unix seconds.
    package func body(of name: ObjectName, firedFor fireTime: Int64) throws(RequestError) -> JSONValue {
        try BodyPlaceholders.schedule(name, fireTime: fireTime, zone: zone).fill(request, path: "request")
    }

    /// The next fire time after `time`, both Unix seconds; nil when the schedule is over.
    package func next(after time: Int64) -> Int64? {
        guard let next = cron.next(after: time, in: zone), next <= until ?? .max else { return nil }
        return next
    }

    /// How much later than its fire time a firing is started, in milliseconds: the same on every replica.
    package func jitterMilliseconds(of name: ObjectName, fireTime: Int64) -> Int64 {
        guard jitterSeconds > 0 else { return 0 }
        // FNV-1a and a finishing mix, as neighbouring times differ in few bits only.
        var hash = "\(name)@\(fireTime)".utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01b3
        }
        hash = (hash ^ (hash >> 32)) &* 0x9E37_79B9_7F4A_7C15
        return Int64((hash ^ (hash >> 29)) % UInt64(jitterSeconds * 1_000 + 1))
    }

    /// As in requests and answers.
    package var json: [String: JSONValue] {
        [
            "cron": .string(cron.text), "time_zone": .string(zone.name), "request": request,
            "overlap": .string(overlap.rawValue), "catch_up_seconds": .integer(Int64(catchUpSeconds)),
            "catch_up_max": .integer(Int64(catchUpMax)), "jitter_seconds": .integer(Int64(jitterSeconds)),
            "until": until.map { .string(UTCText.seconds($0)) } ?? .null,
            "count": count.map { .integer(Int64($0)) } ?? .null,
        ]
    }
}
