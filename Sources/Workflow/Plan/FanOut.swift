import MarketData

/// Over what a step is fanned out into instances.
package struct FanOut: Sendable, Hashable, Codable {
    /// One instance a symbol; else one for all symbols.
    package var isBySymbol: Bool
    /// One instance for each of these intervals, in the exchange's spelling; empty: not by interval.
    package var intervals: [String]
    /// One instance for each so many days of the range, the last one shorter; nil: not by time.
    package var shardDays: Int64?

    package init(isBySymbol: Bool = true, intervals: [String] = [], shardDays: Int64? = nil) {
        self.isBySymbol = isBySymbol
        self.intervals = intervals
        self.shardDays = shardDays
    }

    /// What a step has that says nothing and reads no other.
    package static let symbol = FanOut()
    /// Fan-in: one instance for everything.
    package static let none = FanOut(isBySymbol: false)

    package enum CodingKeys: String, CodingKey {
        case isBySymbol = "by_symbol"
        case intervals
        case shardDays = "shard_days"
    }

    package static let intervalsMax = 16
    package static let shardDaysRange = 1...Int(PlanBuilder.daysMax)
    static let hint =
        "\"symbol\", \"none\", or {\"by\":[\"symbol\",\"interval\",\"time\"],"
        + "\"intervals\":[\"1m\",\"5m\"],\"shard_days\":7}"

    /// As requests and answers write it.
    package var json: JSONValue {
        if self == .symbol { return .string("symbol") }
        if self == .none { return .string("none") }
        var by: [JSONValue] = []
        var fields: [String: JSONValue] = [:]
        if isBySymbol { by.append(.string("symbol")) }
        if !intervals.isEmpty {
            by.append(.string("interval"))
            fields["intervals"] = .array(intervals.map { .string($0) })
        }
        if let shardDays {
            by.append(.string("time"))
            fields["shard_days"] = .integer(shardDays)
        }
        fields["by"] = .array(by)
        return .object(fields)
    }
}

extension FanOut {
    /// Reads the member `fan_out` of a step; nil when it has none.
    static func read(_ step: ObjectReader) throws(RequestError) -> FanOut? {
        guard let value = step.value("fan_out") else { return nil }
        switch value {
        case .string("symbol"): return .symbol
        case .string("none"): return FanOut.none
        case .object: break
        default: throw step.invalid("fan_out", value, hint: hint)
        }
        let reader = try ObjectReader(
            value, path: step.place("fan_out"), known: ["by", "intervals", "shard_days"])
        let by = try reader.strings("by", countMax: 3) ?? []
        for (index, word) in by.enumerated() {
            guard ["symbol", "interval", "time"].contains(word), by.firstIndex(of: word) == index else {
                throw reader.invalid(
                    "by", word, "\(reader.place("by")) cannot hold \(word.prefix(20)) here",
                    hint: "Each of symbol, interval, time at most once")
            }
        }
        guard !by.isEmpty else {
            throw RequestError(
                .missingField, "\(reader.place("by")) is missing or empty", field: reader.place("by"),
                hint: "Some of symbol, interval, time; for one instance write \"fan_out\":\"none\"")
        }
        let intervals = try readIntervals(reader, isWanted: by.contains("interval"))
        let shardDays = try reader.integer("shard_days", in: shardDaysRange)
        try reader.check("shard_days", isGiven: shardDays != nil, isWanted: by.contains("time"), "time")
        return FanOut(
            isBySymbol: by.contains("symbol"), intervals: intervals.map(\.rawValue),
            shardDays: shardDays.map(Int64.init))
    }

    private static func readIntervals(
        _ reader: ObjectReader, isWanted: Bool
    ) throws(RequestError) -> [KlineInterval] {
        var intervals: [KlineInterval] = []
        for (index, text) in (try reader.strings("intervals", countMax: intervalsMax) ?? []).enumerated() {
            guard let interval = KlineInterval(rawValue: text) ?? KlineInterval(keyText: text) else {
                throw reader.invalid(
                    "intervals[\(index)]", text, "There is no interval \(text.prefix(20))",
                    hint: "One of \(KlineInterval.allCases.map(\.keyText).joined(separator: ", "))")
            }
            guard !intervals.contains(interval) else {
                throw reader.invalid(
                    "intervals[\(index)]", text, "\(interval.keyText) is there twice",
                    hint: "Name each interval once")
            }
            intervals.append(interval)
        }
        try reader.check("intervals", isGiven: !intervals.isEmpty, isWanted: isWanted, "interval")
        return intervals
    }
}

extension ObjectReader {
    /// A member that belongs to a word of `by`: there with it, and only with it.
    fileprivate func check(
        _ name: String, isGiven: Bool, isWanted: Bool, _ word: String
    ) throws(RequestError) {
        guard isGiven != isWanted else { return }
        guard isWanted else {
            throw RequestError(
                .invalidValue, "\(place(name)) has no meaning here", field: place(name),
                hint: "Add \(word) to \(place("by")), or leave \(name) out")
        }
        throw RequestError(
            .missingField, "\(place(name)) is missing", field: place(name),
            hint: name == "intervals" ? "For example [\"1m\",\"5m\"]" : "For example 7")
    }
}
