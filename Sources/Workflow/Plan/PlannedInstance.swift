import MarketData

/// One instance of a step: what it works on, where it writes, what it reads. Follows from the plan alone, so
/// that every replica and every attempt finds the same.
package struct PlannedInstance: Sendable, Hashable {
    package var id: InstanceID
    /// One, or all of the plan where the step is not fanned out by symbol.
    package var symbols: [String]
    /// e.g. `api_candles_5m`, with the instance's own interval.
    package var type: String
    /// The exchange's spelling; empty where there is none.
    package var interval: String
    package var timeRange: DayRange
    /// On its step's data topic: its place among the step's instances.
    package var partition: Int32
    /// The instances of the step's `input` whose records it reads.
    package var inputs: [String]

    package var name: String { id.instance }
    /// The trading pair for people and events; `all` for several (no pair is written in lower case).
    package var symbol: String { symbols.count == 1 ? symbols[0] : Self.everySymbol }

    package static let everySymbol = "all"

    /// The collection of a storing instance: as the request says, else `<symbol>_<type>_<first day>` with the
    /// first day of the queue's whole range.
    ///
    /// Time shards of a symbol and type share it on purpose: their keys do not meet, and what each of them
    /// has counted in the end is the key range between its own first and last record. Intervals differ in type.
    package func collectionName(of step: PlannedStep, in plan: Plan) -> String? {
        if let name = step.collectionName { return name }
        guard let symbol = Symbol(symbol), let range = DayRange(plan.timeRange) else { return nil }
        return DerivedName.collection(symbol: symbol, type: type, firstDay: range.first)?.rawValue
    }
}

extension Plan {
    /// The instances of a step: for each symbol, interval and shard of time it is fanned out over.
    ///
    /// Names are `BTCUSDT`, `BTCUSDT-5m`, `BTCUSDT-20240801` (a shard's first day), `BTCUSDT-5m-20240801`,
    /// with `all` in place of the symbol where all are taken together: at most 33 characters of `A-Z a-z 0-9 -`.
    package func instances(of step: PlannedStep) -> [PlannedInstance] {
        guard let range = DayRange(timeRange) else { return [] }
        let source = step.input.flatMap { self.step($0) }
        let sourceKeys = source.map { fanOutKeys(of: $0, range) } ?? []
        return fanOutKeys(of: step, range).enumerated().map { index, key in
            PlannedInstance(
                id: InstanceID(step: step.id, instance: key.name),
                symbols: key.symbol.map { [$0] } ?? symbols,
                type: key.type(of: step), interval: key.interval?.rawValue ?? step.interval,
                timeRange: key.shard ?? range, partition: Int32(index),
                inputs: source.map { key.inputs(among: sourceKeys, isSame: $0.fanOut == step.fanOut) } ?? [])
        }
    }

    /// nil when the plan does not have it.
    package func instance(_ id: InstanceID) -> PlannedInstance? {
        guard let step = step(id.step) else { return nil }
        guard step.fanOut.isBySymbol else { return instances(of: step).first { $0.id == id } }
        // No symbol holds a dash. Only its own instances are made: a plan may have thousands.
        let symbol = String(id.instance.prefix { $0 != "-" })
        guard let index = symbols.firstIndex(of: symbol) else { return nil }
        var narrow = self
        narrow.symbols = [symbol]
        let ofSymbol = narrow.instances(of: step)
        guard var found = ofSymbol.first(where: { $0.id == id }) else { return nil }
        found.partition += Int32(index * ofSymbol.count)
        return found
    }

    /// Partitions of the data topic of a producing step: one an instance.
    package func partitionCount(of step: PlannedStep) -> Int {
        let shards = DayRange(timeRange).map { step.fanOut.shardCount(of: $0) } ?? 0
        return (step.fanOut.isBySymbol ? symbols.count : 1) * max(step.fanOut.intervals.count, 1) * shards
    }

    private func fanOutKeys(of step: PlannedStep, _ range: DayRange) -> [FanOutKey] {
        let fanOut = step.fanOut
        let symbols: [String?] = fanOut.isBySymbol ? self.symbols : [nil]
        let intervals: [KlineInterval?] =
            fanOut.intervals.isEmpty ? [nil] : fanOut.intervals.map { KlineInterval(rawValue: $0) }
        let shards: [DayRange?] = fanOut.shardDays.map { range.shards(ofDays: $0) } ?? [nil]
        return symbols.flatMap { symbol in
            intervals.flatMap { interval in
                shards.map { FanOutKey(symbol: symbol, interval: interval, shard: $0) }
            }
        }
    }
}

/// Where an instance stands in its step's fan-out; nil: all of it.
private struct FanOutKey: Hashable {
    var symbol: String?
    var interval: KlineInterval?
    var shard: DayRange?

    var name: String {
        var name = symbol ?? PlannedInstance.everySymbol
        if let interval { name += "-\(interval.keyText)" }
        if let shard { name += "-\(shard.first.compactText)" }
        return name
    }

    /// Only candles carry their interval in the type.
    func type(of step: PlannedStep) -> String {
        guard let interval, step.target != .dummyService else { return step.type }
        return "\(step.type)_\(interval.keyText)"
    }

    /// The instances of an input that hold a part of what this one works on.
    func inputs(among keys: [FanOutKey], isSame: Bool) -> [String] {
        if isSame { return [name] }
        return keys.filter { key in
            (symbol == nil || symbol == key.symbol) && (interval == nil || interval == key.interval)
                && (shard == nil || shard == key.shard)
        }.map(\.name)
    }
}

extension FanOut {
    package func shardCount(of range: DayRange) -> Int {
        shardDays.map { Int((range.dayCount + $0 - 1) / $0) } ?? 1
    }

    /// Whether each instance of this fan-out reads whole instances of `source`, and every one is read.
    func isCoarser(than source: FanOut) -> Bool {
        (!isBySymbol || source.isBySymbol) && (intervals.isEmpty || intervals == source.intervals)
            && (shardDays == nil || shardDays == source.shardDays)
    }
}

extension DayRange {
    /// Cuts the range into parts of `days` days, the last one perhaps shorter.
    package func shards(ofDays days: Int64) -> [DayRange] {
        stride(from: first.daysSince1970, through: last.daysSince1970, by: Int(max(days, 1))).compactMap {
            let end = min($0 + days - 1, last.daysSince1970)
            return DayRange(first: CivilDate(daysSince1970: $0), last: CivilDate(daysSince1970: end))
        }
    }
}
