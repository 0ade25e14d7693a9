import Testing
import Workflow

@testable import ExchangeBudget

/// A budget of 100 usable a minute whose exchange is `ahead` of our clock, known to 10 ms.
private struct Table {
    var budget: WeightBudget
    var now: Int64 = 1_000_000_000

    init(usable: Int = 100, ahead: Int64 = 0) {
        var limits = WeightBudget.Limits()
        limits.weightMax = usable
        limits.usableShare = 1
        budget = WeightBudget(limits)
        // 10 s into a window.
        now = now / 60_000 * 60_000 + 10_000 - ahead
        budget.clock = ServerClock(low: ahead - 5, high: ahead + 5, at: now)
        budget.metering = .metered
        budget.advance(to: now)
    }

    mutating func ask(_ name: String, _ want: Int, least: Int = 2) -> BudgetAction {
        budget.apply(.asked(want: want, least: least), from: name, now: now)
    }

    mutating func granted(_ name: String, _ want: Int, least: Int = 2) -> Int? {
        if case .grant(let grant) = ask(name, want, least: least) { grant.weight } else { nil }
    }

    /// `name` reports that all it was granted is answered, and the exchange's count.
    mutating func report(
        _ name: String, answered: Int, used: Int? = nil, unanswered: Int = 0
    ) {
        var report = BudgetReport()
        report.window = budget.window
        report.windowSeconds = budget.windowSeconds
        report.answered = answered
        if let window = budget.window, unanswered > 0 { report.unanswered[window] = unanswered }
        report.reading = used.map { .init(used: $0, answered: answered) }
        _ = budget.apply(.answered(report), from: name, now: now)
    }

    var reason: (BudgetAction) -> BudgetWait.Reason? {
        { if case .wait(let hold) = $0 { hold.reason } else { nil } }
    }
}

@Suite struct WeightBudgetTests {
    @Test func `a grant ends with the exchange's window, whatever our clock shows`() throws {
        var table = Table(ahead: 7 * 60_000 + 123)
        guard case .grant(let grant) = table.ask("a", 10) else {
            Issue.record("not granted")
            return
        }
        // 50 s are left of the window, less what is not known and the way there.
        #expect(grant.validMilliseconds == 50_000 - 5 - table.budget.limits.margin)
        #expect(grant.window == (table.now + 7 * 60_000 + 123) / 60_000)
    }

    @Test func `one alone gets what it wants, and never more than the window has`() {
        var table = Table()
        #expect(table.granted("a", 60) == 60)
        #expect(table.granted("a", 60) == 40)
        #expect(table.granted("a", 60) == nil)
        #expect(table.budget.committed == 100)
    }

    @Test func `when the window is used up it waits for the next, by the exchange's clock`() {
        var table = Table()
        _ = table.granted("a", 100)
        table.report("a", answered: 100)
        guard case .wait(let hold) = table.ask("a", 10) else {
            Issue.record("granted")
            return
        }
        #expect(hold.reason == .weight)
        #expect(hold.milliseconds == table.budget.limits.recheckMax)
        #expect((hold.until + 5) / 60_000 == (table.budget.window ?? 0) + 1)
        table.now += 50_010
        #expect(table.granted("a", 10) == 10)
    }

    @Test func `while leased weight may come back it is asked for soon`() {
        var table = Table()
        _ = table.granted("a", 100)
        guard case .wait(let hold) = table.ask("b", 10) else {
            Issue.record("granted")
            return
        }
        #expect(hold.milliseconds == table.budget.limits.recheck)
    }

    @Test func `nothing is granted while the window may be turning`() {
        var table = Table()
        table.now += 50_000 - 20
        #expect(table.reason(table.ask("a", 10)) == .turn)
        // What is known of the clock fades by 5 ms in 50 s.
        table.now += 20 + 11
        #expect(table.granted("a", 10) == 10)
    }

    @Test func `usage of somebody else behind the same address is believed at once`() {
        var table = Table()
        _ = table.granted("a", 10)
        table.report("a", answered: 10, used: 95)
        #expect(table.budget.usedByOthers == 85)
        #expect(table.granted("a", 10) == 5)
        #expect(table.granted("b", 10) == nil)
    }

    @Test func `our own loaders' usage is not taken for somebody else's`() {
        var table = Table()
        _ = table.granted("a", 30)
        _ = table.granted("b", 30)
        table.report("a", answered: 30, used: 30)
        table.report("b", answered: 30, used: 60)
        #expect(table.budget.usedByOthers == 0)
        // An older count changes nothing.
        table.report("a", answered: 30, used: 31)
        #expect(table.budget.reported == 60)
    }

    @Test func `what a loader has not told yet is taken for somebody else's until it does`() {
        var table = Table()
        _ = table.granted("a", 30)
        _ = table.granted("b", 30)
        table.report("b", answered: 30, used: 60)
        #expect(table.budget.usedByOthers == 30)
        table.report("a", answered: 30, used: 32)
        #expect(table.budget.usedByOthers == 0)
    }

    @Test func `what a lost loader held comes back with the next window`() {
        var table = Table()
        _ = table.granted("lost", 100)
        #expect(table.granted("a", 100) == nil)
        table.now += 50_020
        // Its last requests may have been on their way.
        #expect(table.granted("a", 100) == 100 - table.budget.limits.inFlightMax)
        table.report("a", answered: 80)
        table.now += 60_010
        #expect(table.granted("a", 100) == 100)
        #expect(table.budget.holders["lost"] == nil)
    }

    @Test func `who leaves gives back at once what it did not send`() throws {
        var table = Table()
        _ = table.granted("a", 80)
        table.report("a", answered: 10, unanswered: 4)
        let rest = BudgetRest(window: try #require(table.budget.window), weight: 66)
        #expect(table.budget.apply(.left(unspent: rest), from: "a", now: table.now) == .ignore)
        #expect(table.budget.committed == 14)
        #expect(table.granted("b", 100) == 86)
    }

    @Test func `what was sent and seen answered by nobody stays counted when its loader leaves`() throws {
        var table = Table()
        _ = table.granted("a", 80)
        // 70 are sent. The answers were lost, or bear the date of the second before the window began.
        table.report("a", answered: 0)
        let window = try #require(table.budget.window)
        _ = table.budget.apply(
            .left(unspent: BudgetRest(window: window, weight: 10)), from: "a", now: table.now)
        #expect(table.granted("b", 100) == 30)
    }

    @Test(arguments: [nil, BudgetRest(window: 3, weight: 80)])
    func `what is left of another window gives nothing back`(unspent: BudgetRest?) {
        var table = Table()
        _ = table.granted("a", 80)
        _ = table.budget.apply(.left(unspent: unspent), from: "a", now: table.now)
        #expect(table.granted("b", 100) == 20)
        // In the next window it is free; the last requests of both may have been on their way.
        table.now += 60_000
        #expect(table.granted("b", 100) == 100 - 2 * table.budget.limits.inFlightMax)
    }

    @Test func `a late answer counts in the window it came in`() {
        var table = Table()
        _ = table.granted("a", 10)
        table.report("a", answered: 6, unanswered: 4)
        table.now += 50_010
        table.budget.advance(to: table.now)
        #expect(table.budget.holders["a"]?.late == 4)
        var report = BudgetReport()
        report.window = table.budget.window
        report.windowSeconds = 60
        report.answered = 4
        report.lateAnswered = 4
        _ = table.budget.apply(.answered(report), from: "a", now: table.now)
        #expect(table.budget.committed == 4)
        #expect(table.granted("a", 200) == 96)
    }

    @Test func `a ban holds for all and no 429 ends it`() {
        var table = Table()
        _ = table.budget.apply(.refused(.ban, milliseconds: 120_000), from: "a", now: table.now)
        _ = table.budget.apply(.refused(.backOff, milliseconds: 1_000), from: "b", now: table.now)
        for name in ["a", "b", "c"] { #expect(table.reason(table.ask(name, 10)) == .ban) }
        table.now += 119_999
        #expect(table.reason(table.ask("c", 10)) == .ban)
        table.now += 1
        #expect(table.granted("c", 10) == 10)
    }

    @Test func `a back-off holds for all until it is over`() {
        var table = Table()
        _ = table.budget.apply(.refused(.backOff, milliseconds: 5_000), from: "a", now: table.now)
        #expect(table.reason(table.ask("b", 10)) == .backOff)
        table.now += 5_000
        #expect(table.granted("b", 10) == 10)
    }

    @Test func `before the first answer one asks for all, and another when it is lost`() {
        var table = Table()
        table.budget = WeightBudget(table.budget.limits)
        #expect(table.granted("a", 50) == 2)
        #expect(table.reason(table.ask("b", 50)) == .probe)
        table.now += table.budget.limits.probe
        #expect(table.granted("b", 50) == 2)
    }

    @Test func `the first answer opens the budget`() {
        var table = Table()
        table.budget = WeightBudget(table.budget.limits)
        _ = table.granted("a", 50)
        var report = BudgetReport()
        report.clock = ServerClock(low: -5, high: 5, at: table.now)
        report.window = table.now / 60_000
        report.windowSeconds = 60
        report.answered = 2
        report.reading = .init(used: 42, answered: 2)
        _ = table.budget.apply(.answered(report), from: "a", now: table.now)
        #expect(table.budget.usedByOthers == 40)
        // Half of what others leave; the other half is kept for a, which wanted 50.
        #expect(table.granted("b", 100) == 30)
    }

    @Test func `an exchange that tells no count has no limit`() {
        var table = Table()
        table.budget = WeightBudget(table.budget.limits)
        _ = table.granted("a", 50)
        var report = BudgetReport()
        report.isUnmetered = true
        _ = table.budget.apply(.answered(report), from: "a", now: table.now)
        #expect(table.granted("a", 5_000) == 5_000)
    }

    @Test func `an answer that says the window has turned is believed`() {
        var table = Table()
        _ = table.granted("a", 100)
        var report = BudgetReport()
        report.window = (table.budget.window ?? 0) + 1
        report.windowSeconds = 60
        report.clock = ServerClock(low: 50_000, high: 50_010, at: table.now)
        _ = table.budget.apply(.answered(report), from: "a", now: table.now)
        #expect(table.budget.window == report.window)
    }

    @Test func `an exchange whose clock was set back is followed`() {
        var table = Table()
        _ = table.granted("a", 100)
        let before = table.budget.window ?? 0
        var report = BudgetReport()
        report.clock = ServerClock(low: -3_600_005, high: -3_599_995, at: table.now)
        _ = table.budget.apply(.answered(report), from: "a", now: table.now)
        #expect(table.budget.window == before - 60)
        #expect(table.granted("a", 10) == 10)
    }

    @Test func `a request dearer than the whole budget passes alone`() {
        var table = Table(usable: 10)
        #expect(table.granted("a", 20, least: 20) == 20)
        #expect(table.granted("b", 2) == nil)
    }

    @Test func `one beyond its share leaves the others theirs`() {
        var table = Table()
        #expect(table.granted("a", 40) == 40)
        #expect(table.granted("b", 30) == 30)
        // b may have 20 more of its 50 and asked for 30 the last time: 30 are left, a gets what b's share spares.
        #expect(table.granted("a", 40) == 10)
        #expect(table.granted("b", 30) == 20)
    }

    @Test func `who waited longer is first when there are more loaders than requests`() {
        var table = Table(usable: 4)
        #expect(table.granted("a", 2) == 2)
        #expect(table.granted("b", 2) == 2)
        for name in ["a", "b"] { table.report(name, answered: 2) }
        for name in ["c", "d", "a", "b", "c", "d", "a", "b"] {
            table.now += 1_000
            #expect(table.granted(name, 2) == nil)
        }
        // They come back every 30 s, as they are told.
        table.now += 25_000
        for name in ["b", "a", "c", "d"] { #expect(table.granted(name, 2) == nil) }
        table.now += 17_020
        // Whoever asks first, the two that waited longest are served.
        #expect(table.granted("b", 2) == nil)
        #expect(table.granted("a", 2) == nil)
        #expect(table.granted("d", 2) == 2)
        #expect(table.granted("c", 2) == 2)
        #expect(table.granted("a", 2) == nil)
        table.report("c", answered: 2)
        table.report("d", answered: 2)
        for name in ["b", "a", "c", "d"] { #expect(table.granted(name, 2) == nil) }
        table.now += 30_000
        for name in ["c", "d", "b", "a"] { #expect(table.granted(name, 2) == nil) }
        table.now += 30_010
        #expect(table.granted("c", 2) == nil)
        #expect(table.granted("b", 2) == 2)
        #expect(table.granted("a", 2) == 2)
    }
}
