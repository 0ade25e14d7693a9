import Workflow

@testable import ExchangeBudget

/// Loaders, an exchange and the shared budget in virtual time, from one seed: requests take their time, clocks
/// disagree, loaders are lost, the store is away, others spend behind the same address.
struct Simulation {
    struct Options {
        var loaders = 4
        var usable = 60
        var weight = 2
        var windowSeconds: Int64 = 4
        var windows: Int64 = 12
        var mayLoseLoaders = true
        var isStoreFlaky = true
        /// Weight that somebody else spends at the beginning of each window.
        var foreign = 0
    }

    private struct Loader {
        var account: LeaseAccount
        /// Its own clock less the simulation's.
        let clock: Int64
        var isLost = false
        var counted = 0
        var waitedAt: Int64?
    }

    private enum Event {
        case wake(Int)
        case store(Int, LeaseRequest, askedAt: Int64)
        case reply(Int, LeaseRequest, BudgetAction, askedAt: Int64)
        case storeFailed(Int)
        case arrive(Int, BudgetTicket)
        case answer(Int, BudgetTicket, BudgetAnswer)
        case foreign(Int64)
    }

    private let options: Options
    private var random: SplitMix
    private var budget: WeightBudget
    private var loaders: [Loader]
    private var queue: [(at: Int64, number: Int, event: Event)] = []
    private var number = 0
    /// The exchange's clock less the simulation's; the budget's is a third one.
    private let exchangeAhead: Int64
    private let budgetAhead: Int64
    private(set) var ours: [Int64: Int] = [:]
    private(set) var total: [Int64: Int] = [:]
    private(set) var refusals = 0

    /// The first event is here.
    private static let start: Int64 = 1_700_000_001_234

    init(_ options: Options, seed: UInt64) {
        self.options = options
        var random = SplitMix(state: seed)
        var limits = WeightBudget.Limits()
        limits.weightMax = options.usable
        limits.usableShare = 1
        limits.inFlightMax = options.weight
        budget = WeightBudget(limits)
        exchangeAhead = random.next(-600_000...600_000)
        budgetAhead = random.next(-600_000...600_000)
        var accounts = LeaseAccount.Limits()
        accounts.inFlightMax = options.weight
        loaders = (0..<options.loaders).map { _ in
            Loader(account: LeaseAccount(accounts), clock: random.next(0...1_000_000) - Self.start)
        }
        self.random = random
    }

    mutating func run() {
        let end = Self.start + options.windows * options.windowSeconds * 1_000
        for index in loaders.indices { schedule(.wake(index), at: Self.start + random.next(0...500)) }
        if options.foreign > 0 {
            let first = window(at: Self.start) + 1
            for window in first..<(first + options.windows) {
                schedule(.foreign(window), at: window * options.windowSeconds * 1_000 - exchangeAhead)
            }
        }
        while let next = queue.min(by: { ($0.at, $0.number) < ($1.at, $1.number) }), next.at < end {
            queue.removeAll { $0.number == next.number }
            handle(next.event, now: next.at)
        }
    }

    /// Requests of each loader that the exchange counted.
    var counted: [Int] { loaders.map(\.counted) }

    private mutating func schedule(_ event: Event, at time: Int64) {
        number += 1
        queue.append((time, number, event))
    }

    private func window(at now: Int64) -> Int64 { (now + exchangeAhead) / (options.windowSeconds * 1_000) }

    private mutating func handle(_ event: Event, now: Int64) {
        switch event {
        case .wake(let index): wake(index, now: now)
        case .store(let index, let request, let askedAt):
            let time = loaders[index].clock
            // The moment lies between what the loader saw before and what it sees after.
            let action = budget.apply(
                request, from: "loader \(index)", now: now + budgetAhead,
                loaderTime: (askedAt + time, now + time + random.next(0...5)))
            if options.isStoreFlaky, random.next(0...19) == 0 {
                schedule(.storeFailed(index), at: now + random.next(5...300))
            } else {
                schedule(.reply(index, request, action, askedAt: askedAt), at: now + random.next(5...8))
            }
        case .reply(let index, let request, let action, let askedAt):
            loaders[index].account.received(action, to: request, askedAt: askedAt + loaders[index].clock)
            schedule(.wake(index), at: now)
        case .storeFailed(let index):
            loaders[index].account.failed(now: now + loaders[index].clock)
            schedule(.wake(index), at: now)
        case .arrive(let index, let ticket): arrive(index, ticket, now: now)
        case .answer(let index, let ticket, let answer):
            loaders[index].account.settle(ticket, answer, now: now + loaders[index].clock)
            schedule(.wake(index), at: now)
        case .foreign(let window): total[window, default: 0] += options.foreign
        }
    }

    private mutating func wake(_ index: Int, now: Int64) {
        if loaders[index].isLost { return }
        if options.mayLoseLoaders, random.next(0...2_000) == 0 {
            loaders[index].isLost = true
            return
        }
        switch loaders[index].account.take(options.weight, now: now + loaders[index].clock) {
        case .go(let ticket):
            // Some requests take long, also over the end of a window.
            let slow = random.next(0...30) == 0
            schedule(.arrive(index, ticket), at: now + random.next(1...(slow ? 900 : 20)))
        case .ask(let request):
            schedule(.store(index, request, askedAt: now), at: now + random.next(1...20))
        case .wait(let wait): schedule(.wake(index), at: now + wait.duration.wholeMilliseconds)
        }
    }

    private mutating func arrive(_ index: Int, _ ticket: BudgetTicket, now: Int64) {
        let window = window(at: now)
        ours[window, default: 0] += ticket.weight
        total[window, default: 0] += ticket.weight
        loaders[index].counted += 1
        let latency = random.next(1...15)
        let server = (now + latency / 2 + exchangeAhead) / 1_000
        var answer = BudgetAnswer(
            .data,
            reading: WeightReading(
                usedWeight: total[window] ?? 0, windowSeconds: options.windowSeconds, serverSeconds: server),
            serverSeconds: server)
        if random.next(0...40) == 0 { answer = BudgetAnswer(.unknown) }
        schedule(.answer(index, ticket, answer), at: now + latency)
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func next(_ range: ClosedRange<Int64>) -> Int64 { Int64.random(in: range, using: &self) }
}
