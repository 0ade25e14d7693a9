import PostgresBridge

/// A row of `streamforge.exchange_budgets`.
struct BudgetRow {
    var key: BudgetStore.Key
    /// Without its holders.
    var budget: WeightBudget

    static let columns = """
        egress, exchange, weight_max, usable_max, metering, window_seconds, window_number, reported, \
        clock_low, clock_high, clock_at, stay_kind, stay_until, probe_by, probe_until
        """

    init(_ row: PostgresRow) throws {
        key = BudgetStore.Key(
            egress: try row["egress", as: String.self], exchange: try row["exchange", as: String.self])
        var limits = WeightBudget.Limits()
        limits.weightMax = try row["weight_max", as: Int.self]
        limits.usableShare = Double(try row["usable_max", as: Int.self]) / Double(max(1, limits.weightMax))
        budget = WeightBudget(limits)
        let metering = try row["metering", as: String.self]
        guard let known = WeightBudget.Metering(rawValue: metering) else { throw Self.unknown(metering) }
        budget.metering = known
        budget.windowSeconds = try row["window_seconds", as: Int64.self]
        budget.window = try row["window_number", as: Int64?.self]
        budget.reported = try row["reported", as: Int.self]
        if let low = try row["clock_low", as: Int64?.self], let high = try row["clock_high", as: Int64?.self],
            let at = try row["clock_at", as: Int64?.self]
        {
            budget.clock = ServerClock(low: low, high: high, at: at)
        }
        if let kind = try row["stay_kind", as: String?.self],
            let until = try row["stay_until", as: Int64?.self]
        {
            guard let kind = BudgetStay.Kind(rawValue: kind) else { throw Self.unknown(kind) }
            budget.stay = BudgetStay(kind, until: until)
        }
        budget.probeBy = try row["probe_by", as: String?.self]
        budget.probeUntil = try row["probe_until", as: Int64.self]
    }

    private static func unknown(_ word: String) -> PostgresError {
        PostgresError(
            .decoding, operation: "read a budget",
            message: "\(word.prefix(40)) is a word of another version")
    }

    static func update(_ budget: WeightBudget, _ key: BudgetStore.Key) -> PostgresQuery {
        """
        UPDATE streamforge.exchange_budgets SET weight_max = \(budget.limits.weightMax),
        usable_max = \(budget.limits.usable), metering = \(budget.metering.rawValue),
        window_seconds = \(budget.windowSeconds), window_number = \(optional: budget.window),
        reported = \(budget.reported),
        clock_low = \(optional: budget.clock?.low), clock_high = \(optional: budget.clock?.high),
        clock_at = \(optional: budget.clock?.at), stay_kind = \(optional: budget.stay?.kind.rawValue),
        stay_until = \(optional: budget.stay?.until), probe_by = \(optional: budget.probeBy),
        probe_until = \(budget.probeUntil), updated_at = clock_timestamp()
        WHERE egress = \(key.egress) AND exchange = \(key.exchange)
        """
    }
}

/// A row of `streamforge.exchange_leases`.
struct LeaseRow {
    var key: BudgetStore.Key
    var loader: BudgetStore.Loader
    var holder: WeightBudget.Holder

    static let columns = """
        egress, exchange, holder, queue_id, step, instance, attempt, granted, answered, answered_at_reading, \
        late, want, least, waiting_since, active_until, seen_at
        """

    init(_ row: PostgresRow) throws {
        key = BudgetStore.Key(
            egress: try row["egress", as: String.self], exchange: try row["exchange", as: String.self])
        loader = BudgetStore.Loader(
            name: try row["holder", as: String.self], queueID: try row["queue_id", as: String.self],
            step: try row["step", as: String.self], instance: try row["instance", as: String.self],
            attempt: try row["attempt", as: Int.self])
        holder = WeightBudget.Holder()
        holder.granted = try row["granted", as: Int.self]
        holder.answered = try row["answered", as: Int.self]
        holder.answeredAtReading = try row["answered_at_reading", as: Int.self]
        holder.late = try row["late", as: Int.self]
        holder.want = try row["want", as: Int.self]
        holder.least = try row["least", as: Int.self]
        holder.waitingSince = try row["waiting_since", as: Int64?.self]
        holder.activeUntil = try row["active_until", as: Int64.self]
        holder.seenAt = try row["seen_at", as: Int64.self]
    }

    /// Of a loader whose row is there.
    static func update(
        _ holder: WeightBudget.Holder, _ name: String, _ key: BudgetStore.Key
    ) -> PostgresQuery {
        """
        UPDATE streamforge.exchange_leases SET granted = \(holder.granted), answered = \(holder.answered),
        answered_at_reading = \(holder.answeredAtReading), late = \(holder.late)
        WHERE egress = \(key.egress) AND exchange = \(key.exchange) AND holder = \(name)
        """
    }

    /// Nobody reads what is unanswered; a database that an older release migrated wants it all the same.
    static func upsert(
        _ holder: WeightBudget.Holder, _ loader: BudgetStore.Loader, _ key: BudgetStore.Key
    ) -> PostgresQuery {
        """
        INSERT INTO streamforge.exchange_leases (\(raw: columns), unanswered) VALUES (
        \(key.egress), \(key.exchange), \(loader.name), \(loader.queueID), \(loader.step), \(loader.instance),
        \(loader.attempt), \(holder.granted), \(holder.answered), \(holder.answeredAtReading), \(holder.late),
        \(holder.want), \(holder.least), \(optional: holder.waitingSince), \(holder.activeUntil),
        \(holder.seenAt), 0)
        ON CONFLICT (egress, exchange, holder) DO UPDATE SET granted = excluded.granted,
        answered = excluded.answered, answered_at_reading = excluded.answered_at_reading, late = excluded.late,
        want = excluded.want, least = excluded.least, waiting_since = excluded.waiting_since,
        active_until = excluded.active_until, seen_at = excluded.seen_at
        """
    }
}

/// A budget as people look at it: brought up to now, times by the exchange's clock.
package struct BudgetView: Sendable {
    package struct Lease: Sendable {
        package var loader: BudgetStore.Loader
        package var holder: WeightBudget.Holder
        package var waitingMilliseconds: Int64?
        /// Since it was heard of last.
        package var silentMilliseconds: Int64
    }

    package var key: BudgetStore.Key
    package var budget: WeightBudget
    package var leases: [Lease]
    /// Unix milliseconds; nil when the exchange has not told its time.
    package var windowStart: Int64?
    package var windowEnd: Int64?
    package var stayUntil: Int64?

    init(_ stored: BudgetRow, _ rows: [LeaseRow], now: Int64) {
        key = stored.key
        budget = stored.budget
        for row in rows { budget.holders[row.loader.name] = row.holder }
        budget.advance(to: now)
        let current = budget
        leases = rows.compactMap { row in
            current.holders[row.loader.name].map { holder in
                Lease(
                    loader: row.loader, holder: holder,
                    waitingMilliseconds: holder.waitingSince.map { max(0, now - $0) },
                    silentMilliseconds: max(0, now - holder.seenAt))
            }
        }
        if let window = budget.window, budget.clock != nil {
            windowStart = window * budget.windowSeconds * 1_000
            windowEnd = (window + 1) * budget.windowSeconds * 1_000
        }
        stayUntil = budget.stay.map { stay in current.clock?.latest(at: stay.until) ?? stay.until }
    }

    package var waitingCount: Int { leases.count { $0.holder.waitingSince != nil } }
    /// Granted and not known to be used.
    package var leased: Int {
        leases.reduce(0) { $0 + max(0, $1.holder.granted + $1.holder.late - $1.holder.answered) }
    }
}
