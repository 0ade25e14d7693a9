import Workflow

/// Who gets how much.
///
/// Everybody may have an equal share of the window; what the others do not need for now goes to whoever asks.
/// Who waited longer is served first, so that nobody starves when there are more loaders than requests in a
/// window.
extension WeightBudget {
    mutating func ask(_ name: String, want: Int, least: Int, now: Int64) -> BudgetAction {
        var holder = holders[name] ?? Holder()
        holder.want = want
        holder.least = least
        holder.seenAt = now
        holder.activeUntil = now + limits.patience
        holders[name] = holder
        switch decide(name, want: want, least: least, now: now) {
        case .grant(let grant):
            holder.waitingSince = nil
            holder.granted += grant.weight
            holders[name] = holder
            return .grant(grant)
        case .wait(let hold):
            holder.waitingSince = holder.waitingSince ?? now
            holder.activeUntil = now + hold.milliseconds + limits.patience
            holders[name] = holder
            return .wait(hold)
        case .ignore: return .ignore
        }
    }

    private mutating func decide(_ name: String, want: Int, least: Int, now: Int64) -> BudgetAction {
        if let stay {
            return .wait(hold(stay.kind == .ban ? .ban : .backOff, from: now, to: stay.until))
        }
        if metering == .unmetered {
            return .grant(
                BudgetGrant(weight: want, window: window, validMilliseconds: limits.probe))
        }
        guard metering == .metered, let clock, let window else {
            return probe(name, least: least, now: now)
        }
        let windowEnd = (window + 1) * windowSeconds * 1_000
        let rest = windowEnd - clock.latest(at: now) - limits.margin
        // The earliest moment at which the next window has begun for certain.
        let turnAt = now + windowEnd - clock.earliest(at: now) + 1
        guard rest > 0 else { return .wait(hold(.turn, from: now, to: turnAt)) }
        let weight = offer(to: name, want: want, least: least, now: now)
        guard weight > 0 else {
            let mayComeFree = holders.values.contains { $0.granted + $0.late > $0.answered }
            let again = mayComeFree ? min(turnAt, now + limits.recheck) : turnAt
            return .wait(hold(.weight, from: now, to: turnAt, again: again))
        }
        return .grant(
            BudgetGrant(weight: weight, window: window, validMilliseconds: rest))
    }

    /// Before the first answer nothing is known of count and windows: one request finds out for all.
    private mutating func probe(_ name: String, least: Int, now: Int64) -> BudgetAction {
        if let probeBy, probeBy != name, probeUntil > now {
            return .wait(hold(.probe, from: now, to: probeUntil, again: min(probeUntil, now + 200)))
        }
        probeBy = name
        probeUntil = now + limits.probe
        return .grant(
            BudgetGrant(weight: least, window: window, validMilliseconds: limits.probe))
    }

    /// - Returns: `least` to `want`, or 0.
    private func offer(to name: String, want: Int, least: Int, now: Int64) -> Int {
        // Alone in its window, a request dearer than the limit is let through: otherwise it never is.
        if committed == 0, least > limits.usable { return least }
        guard let asker = holders[name] else { return 0 }
        let room = limits.usable - committed
        guard room >= least else { return 0 }
        let active = holders.filter { $0.key == name || $0.value.activeUntil > now }
        let share = max(0, limits.usable - usedByOthers) / active.count
        var keptForOlder = 0
        var keptForAll = 0
        for (other, holder) in active where other != name {
            let wanted = min(holder.want, Self.part(of: holder, least: holder.least, share))
            // A rest too small for a request helps nobody.
            guard wanted >= holder.least else { continue }
            keptForAll += wanted
            if isBefore(other, holder, name, asker) { keptForOlder += wanted }
        }
        let own = Self.part(of: asker, least: least, share)
        // Within its share it stands back behind those who waited longer; beyond it, behind all others.
        let weight = max(min(want, own, room - keptForOlder), min(want, room - keptForAll))
        return weight >= least ? weight : 0
    }

    /// What is left of a loader's share; one request a window, where there are more loaders than requests.
    private static func part(of holder: Holder, least: Int, _ share: Int) -> Int {
        holder.granted == 0 ? max(least, share) : share - holder.granted
    }

    /// Whether `other` has waited longer than the asker; ties by name, so that one of two is always first.
    private func isBefore(_ other: String, _ holder: Holder, _ name: String, _ asker: Holder) -> Bool {
        guard let since = holder.waitingSince else { return false }
        guard let own = asker.waitingSince else { return true }
        return (since, other) < (own, name)
    }

    private func hold(
        _ reason: BudgetWait.Reason, from now: Int64, to end: Int64, again: Int64? = nil
    ) -> BudgetHold {
        BudgetHold(
            reason: reason, milliseconds: max(1, min((again ?? end) - now, limits.recheckMax)),
            until: clock.map { $0.latest(at: end) } ?? end)
    }
}
