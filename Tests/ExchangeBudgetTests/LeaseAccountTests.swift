import Testing
import Workflow

@testable import ExchangeBudget

@Suite struct LeaseAccountTests {
    private static func granted(_ weight: Int, window: Int64? = 5, valid: Int64 = 10_000) -> LeaseAccount {
        var account = LeaseAccount()
        guard case .ask(let request) = account.take(2, now: 0) else { return account }
        account.received(
            .grant(BudgetGrant(weight: weight, window: window, validMilliseconds: valid)), to: request,
            askedAt: 0)
        return account
    }

    private static func ticket(_ step: LeaseAccount.Step) -> BudgetTicket? {
        if case .go(let ticket) = step { ticket } else { nil }
    }

    private static func asked(_ step: LeaseAccount.Step) -> LeaseRequest? {
        if case .ask(let request) = step { request } else { nil }
    }

    private static func reason(_ step: LeaseAccount.Step) -> BudgetWait.Reason? {
        if case .wait(let wait) = step { wait.reason } else { nil }
    }

    private static func answer(_ used: Int, second: Int64 = 310) -> BudgetAnswer {
        BudgetAnswer(
            .data, reading: WeightReading(usedWeight: used, windowSeconds: 60, serverSeconds: second),
            serverSeconds: second)
    }

    @Test func `what is leased is spent without asking`() {
        var account = Self.granted(6)
        for _ in 0..<3 {
            let ticket = Self.ticket(account.take(2, now: 10))
            #expect(ticket?.window == 5)
            if let ticket { account.settle(ticket, Self.answer(10), now: 20) }
        }
        #expect(Self.asked(account.take(2, now: 30)) != nil)
    }

    @Test func `it asks about once a second while it spends`() {
        var account = Self.granted(1_000)
        #expect(Self.ticket(account.take(2, now: 999)) != nil)
        #expect(Self.asked(account.take(2, now: 1_000)) != nil)
    }

    @Test func `a lease that is over is not spent`() {
        var account = Self.granted(100, valid: 500)
        #expect(Self.ticket(account.take(2, now: 499)) != nil)
        #expect(Self.asked(account.take(2, now: 500)) != nil)
    }

    @Test func `it wants more as it spends more, at most twice as much each time`() {
        var account = Self.granted(8)
        for _ in 0..<4 {
            if let ticket = Self.ticket(account.take(2, now: 1)) {
                account.settle(ticket, Self.answer(8), now: 2)
            }
        }
        #expect(Self.asked(account.take(2, now: 10))?.ask == .init(want: 16, least: 2))
    }

    @Test func `it reports the exchange's count and its own part of it`() {
        var account = Self.granted(100)
        for used in [40, 44] {
            if let ticket = Self.ticket(account.take(2, now: 1)) {
                account.settle(ticket, Self.answer(used), now: 2)
            }
        }
        let open = Self.ticket(account.take(2, now: 3))
        let report = Self.asked(account.take(2, now: 1_000))?.report
        #expect(report?.window == 5)
        #expect(report?.answered == 4)
        #expect(report?.reading == .init(used: 44, answered: 4))
        #expect(report?.unanswered == [5: open?.weight ?? 0])
    }

    @Test func `an answer of the next window is told as late, and its count is not believed`() {
        var account = Self.granted(100)
        if let ticket = Self.ticket(account.take(2, now: 1)) {
            // The window turned between question and Date: the count may be the old one's.
            account.settle(ticket, Self.answer(90, second: 360), now: 2)
        }
        let report = account.farewell(now: 3).report
        #expect(report.window == 6)
        #expect(report.answered == 2)
        #expect(report.lateAnswered == 2)
        #expect(report.reading == nil)
    }

    @Test func `at the end it tells what it did not send, whatever became of the rest`() {
        var account = Self.granted(100)
        let tickets = (0..<3).compactMap { Self.ticket(account.take(2, now: $0)) }
        account.settle(tickets[0], BudgetAnswer(.unknown), now: 3)
        account.settle(tickets[1], BudgetAnswer(.unsent), now: 3)
        #expect(account.farewell(now: 4).unspent == BudgetRest(window: 5, weight: 96))
    }

    @Test func `a request that was not sent gives its weight back`() {
        var account = Self.granted(2)
        if let ticket = Self.ticket(account.take(2, now: 1)) {
            account.settle(ticket, BudgetAnswer(.unsent), now: 2)
        }
        #expect(Self.ticket(account.take(2, now: 3)) != nil)
    }

    @Test func `a ban is told at once and nothing is spent until it is over`() {
        var account = Self.granted(100)
        if let ticket = Self.ticket(account.take(2, now: 1)) {
            account.settle(ticket, BudgetAnswer(.banned(.seconds(120))), now: 2)
        }
        let request = Self.asked(account.take(2, now: 3))
        #expect(request?.refusal == .init(kind: .ban, milliseconds: 119_999))
        if let request {
            account.received(
                .wait(BudgetHold(reason: .ban, milliseconds: 30_000, until: 0)), to: request, askedAt: 3)
        }
        #expect(Self.reason(account.take(2, now: 100)) == .ban)
        #expect(Self.reason(account.take(2, now: 120_002)) == nil)
    }

    @Test func `a ban that others met stops it too`() {
        var account = Self.granted(100)
        if let request = Self.asked(account.take(2, now: 1_000)) {
            account.received(
                .wait(BudgetHold(reason: .ban, milliseconds: 30_000, until: 0)), to: request, askedAt: 1_000)
        }
        #expect(Self.reason(account.take(2, now: 1_001)) == .ban)
    }

    @Test func `while the store is away it spends what it holds, then waits and tries again`() {
        var account = Self.granted(2)
        _ = Self.asked(account.take(2, now: 1_000))
        account.failed(now: 1_000)
        let ticket = Self.ticket(account.take(2, now: 1_001))
        #expect(ticket != nil)
        if let ticket { account.settle(ticket, Self.answer(2), now: 1_002) }
        #expect(Self.reason(account.take(2, now: 1_003)) == .storeAway)
        #expect(Self.asked(account.take(2, now: 1_200)) != nil)
        account.failed(now: 1_200)
        #expect(Self.reason(account.take(2, now: 1_599)) == .storeAway)
        #expect(Self.asked(account.take(2, now: 1_600)) != nil)
    }

    @Test func `no more is in flight than was promised`() {
        var limits = LeaseAccount.Limits()
        limits.inFlightMax = 4
        var account = LeaseAccount(limits)
        if let request = Self.asked(account.take(2, now: 0)) {
            account.received(
                .grant(BudgetGrant(weight: 100, window: 5, validMilliseconds: 10_000)), to: request,
                askedAt: 0)
        }
        let first = Self.ticket(account.take(2, now: 1))
        _ = account.take(2, now: 1)
        #expect(Self.reason(account.take(2, now: 1)) == .inFlight)
        if let first { account.settle(first, BudgetAnswer(.unknown), now: 2) }
        #expect(Self.ticket(account.take(2, now: 2)) != nil)
    }
}
