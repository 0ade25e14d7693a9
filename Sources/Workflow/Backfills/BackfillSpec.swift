import MarketData

/// A backfill as it was asked for: one request for each shard of a long range of days.
package struct BackfillSpec: Sendable, Hashable {
    package static let shardsMax = 10_000
    package static let shardDays = 1...3_653
    package static let parallelism = 1...100

    /// The body of `POST /queues/start`; its `time_range` is left out or holds `${shard.…}`.
    package var request: JSONValue
    package var range: DayRange
    package var shardDays: Int
    /// Queues at the same time.
    package var parallelism: Int

    package static let fields = ["request", "time_range", "shard_days", "parallelism"]

    /// Reads the fields of `POST /backfills` beside the name.
    package init(_ reader: ObjectReader) throws(RequestError) {
        let form = "YYYY-MM-DD:YYYY-MM-DD, both days included, UTC, e.g. 2020-01-01:2024-12-31"
        let text = try reader.requiredString("time_range", hint: form)
        guard let range = DayRange(text) else {
            throw reader.invalid("time_range", text, "time_range is no range of days", hint: form)
        }
        self.range = range
        guard let shardDays = try reader.integer("shard_days", in: Self.shardDays) else {
            throw RequestError(
                .missingField, "shard_days is missing", field: reader.place("shard_days"),
                hint:
                    "How many days one queue loads, \(Self.shardDays.lowerBound) to \(Self.shardDays.upperBound)"
            )
        }
        self.shardDays = shardDays
        parallelism = try reader.integer("parallelism", in: Self.parallelism) ?? 4
        guard let request = reader.value("request") else {
            throw RequestError(
                .missingField, "request is missing", field: reader.place("request"),
                hint: "The body of POST /queues/start without time_range")
        }
        guard case .object(let fields) = request else {
            throw reader.invalid("request", request, hint: "Give an object: the body of POST /queues/start")
        }
        if let own = fields["time_range"], own != .null, !Self.placeholders(range, 1).isUsed(in: own) {
            throw RequestError(
                .invalidValue, "request.time_range is the same for all shards", field: "request.time_range",
                value: own.excerpt, hint: "Leave it out, or write ${shard.range}")
        }
        self.request = request
        guard shardCount <= Self.shardsMax else {
            throw RequestError(
                .invalidValue, "time_range makes \(shardCount) shards", field: reader.place("shard_days"),
                value: String(shardDays),
                hint:
                    "At most \(Self.shardsMax): at least \((Int(range.dayCount) - 1) / Self.shardsMax + 1) days each"
            )
        }
    }

    package var shardCount: Int { (Int(range.dayCount) - 1) / shardDays + 1 }

    /// Shards are numbered from 1 in the order of time; the last may be shorter.
    package func shard(_ number: Int) -> DayRange {
        let first = range.first.daysSince1970 + Int64(number - 1) * Int64(shardDays)
        let last = min(first + Int64(shardDays) - 1, range.last.daysSince1970)
        let days = DayRange(first: CivilDate(daysSince1970: first), last: CivilDate(daysSince1970: last))
        guard let days else { preconditionFailure("shard \(number) of \(shardCount) is asked for") }
        return days
    }

    /// The request of one shard.
    package func body(ofShard number: Int) throws(RequestError) -> JSONValue {
        let shard = shard(number)
        let filled = try Self.placeholders(shard, number).fill(request, path: "request")
        guard case .object(var fields) = filled else { return filled }
        if (fields["time_range"] ?? .null) == .null { fields["time_range"] = .string(shard.description) }
        return .object(fields)
    }

    private static func placeholders(_ range: DayRange, _ number: Int) -> BodyPlaceholders {
        .shard(range, number: number)
    }

    package var json: [String: JSONValue] {
        [
            "request": request, "time_range": .string(range.description),
            "shard_days": .integer(Int64(shardDays)), "parallelism": .integer(Int64(parallelism)),
        ]
    }
}
