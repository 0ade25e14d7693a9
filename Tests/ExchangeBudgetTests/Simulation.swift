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
        /// One request in so many is a loader's last; the next one comes in its place. 0: they all stay.
        var requestsPerLoader: Int64 = 0
        /// The exchange writes its `Date` from a note that it renews once a second, at any moment of it.
        var isDateNoted = false
    }

    private struct Loader {
        var name: String
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
        case leave(name: String, LeaseRequest, clock: Int64, askedAt: Int64)
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
    /// When the exchange renews its note of the date, milliseconds after the turn of a second.
    private let notedAt: Int64
    private var joined = 0
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
        notedAt = random.next(0...999)
        loaders = []
        self.random = random
        for _ in 0..<options.loaders { loaders.append(newLoader()) }
    }

    private mutating func newLoader() -> Loader {
        joined += 1
        var limits = LeaseAccount.Limits()
        limits.inFlightMax = options.weight
        return Loader(
            name: "loader \(joined)", account: LeaseAccount(limits),
            clock: random.next(0...1_000_000) - Self.start)
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
                request, from: loaders[index].name, now: now + budgetAhead,
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
        case .leave(let name, let request, let clock, let askedAt):
            _ = budget.apply(
                request, from: name, now: now + budgetAhead,
                loaderTime: (askedAt + clock, now + clock + random.next(0...5)))
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
        if options.requestsPerLoader > 0, random.next(1...options.requestsPerLoader) == 1 {
            return replace(index, now: now)
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

    /// The loader has nothing under way: it ends in good order, and another begins.
    private mutating func replace(_ index: Int, now: Int64) {
        let old = loaders[index]
        if !options.isStoreFlaky || random.next(0...19) > 0 {
            let last = old.account.farewell(now: now + old.clock)
            schedule(
                .leave(name: old.name, last, clock: old.clock, askedAt: now), at: now + random.next(1...20))
        }
        loaders[index] = newLoader()
        schedule(.wake(index), at: now + random.next(1...50))
    }

    /// The exchange's `Date` at one of its moments, in seconds.
    private func date(at time: Int64) -> Int64 {
        guard options.isDateNoted else { return time / 1_000 }
        return (time - (time - notedAt) % 1_000) / 1_000
    }

    private mutating func arrive(_ index: Int, _ ticket: BudgetTicket, now: Int64) {
        let window = window(at: now)
        ours[window, default: 0] += ticket.weight
        total[window, default: 0] += ticket.weight
        loaders[index].counted += 1
        let latency = random.next(1...15)
        let server = date(at: now + latency / 2 + exchangeAhead)
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
