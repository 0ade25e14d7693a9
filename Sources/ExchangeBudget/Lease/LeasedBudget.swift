import Synchronization
import Workflow

/// A loader's budget that leases its weight from one shared with others.
///
/// It asks about once a second, for what that second needs, and spends it without asking. While the store is
/// away it goes on with what it holds, then waits and tries again.
package final class LeasedBudget: RequestBudget {
    /// Time and the shared budget, as it needs them.
    package struct Ports: Sendable {
        /// Milliseconds since an arbitrary moment; never goes back.
        package var now: @Sendable () -> Int64
        package var sleep: @Sendable (Duration) async throws -> Void
        /// Applies a request to the shared budget; bounded. `now` is the first port.
        package var exchange:
            @Sendable (_ request: LeaseRequest, _ now: @Sendable () -> Int64) async throws -> BudgetAction

        package init(
            now: @escaping @Sendable () -> Int64, sleep: @escaping @Sendable (Duration) async throws -> Void,
            exchange:
                @escaping @Sendable (_ request: LeaseRequest, _ now: @Sendable () -> Int64) async throws ->
                BudgetAction
        ) {
            self.now = now
            self.sleep = sleep
            self.exchange = exchange
        }

        /// Real time.
        package init(
            exchange:
                @escaping @Sendable (_ request: LeaseRequest, _ now: @Sendable () -> Int64) async throws ->
                BudgetAction
        ) {
            let start = ContinuousClock.now
            self.init(
                now: { (ContinuousClock.now - start).wholeMilliseconds },
                sleep: { try await ContinuousClock().sleep(for: $0) }, exchange: exchange)
        }
    }

    /// What happened, for logs and metrics.
    package enum Observation: Sendable {
        case asked(Duration, granted: Int)
        case failed(String)
        case closed
    }

    private let ports: Ports
    private let waitMax: Duration
    private let observe: @Sendable (Observation) -> Void
    private let account: Mutex<LeaseAccount>

    /// - Parameters:
    ///   - inFlightMax: weight that may be sent and not answered; the same as the budget's.
    ///   - waitMax: the longest one request waits; then the attempt is better replaced.
    ///   - observe: called on the asking task; must not block.
    package convenience init(
        _ ports: Ports, inFlightMax: Int = WeightBudget.Limits().inFlightMax,
        waitMax: Duration = .seconds(3_600), observe: @escaping @Sendable (Observation) -> Void = { _ in }
    ) {
        var limits = LeaseAccount.Limits()
        limits.inFlightMax = inFlightMax
        self.init(ports, account: LeaseAccount(limits), waitMax: waitMax, observe: observe)
    }

    init(
        _ ports: Ports, account: LeaseAccount, waitMax: Duration,
        observe: @escaping @Sendable (Observation) -> Void
    ) {
        self.ports = ports
        self.waitMax = waitMax
        self.observe = observe
        self.account = Mutex(account)
    }

    package func take(_ weight: Int, waiting: @Sendable (BudgetWait) -> Void) async throws -> BudgetTicket {
        let deadline = ports.now() + waitMax.wholeMilliseconds
        while true {
            try Task.checkCancellation()
            let now = ports.now()
            switch account.withLock({ $0.take(weight, now: now) }) {
            case .go(let ticket): return ticket
            case .ask(let request): try await ask(request)
            case .wait(let wait):
                guard now + wait.duration.wholeMilliseconds <= deadline else {
                    throw BudgetError("No exchange weight came free in \(waitMax): \(wait.reason.rawValue)")
                }
                if wait.reason != .inFlight { waiting(wait) }
                try await ports.sleep(wait.duration)
            }
        }
    }

    private func ask(_ request: LeaseRequest) async throws {
        let askedAt = ports.now()
        do {
            let action = try await ports.exchange(request, ports.now)
            account.withLock { $0.received(action, to: request, askedAt: askedAt) }
            let granted = if case .grant(let grant) = action { grant.weight } else { 0 }
            observe(.asked(.milliseconds(ports.now() - askedAt), granted: granted))
        } catch {
            if Task.isCancelled { throw CancellationError() }
            account.withLock { $0.failed(now: ports.now()) }
            observe(.failed("\(error)"))
        }
    }

    package func settle(_ ticket: BudgetTicket, _ answer: BudgetAnswer) {
        account.withLock { $0.settle(ticket, answer, now: ports.now()) }
    }

    /// Tries once: what is not given back comes free when the window ends.
    package func close() async {
        let request = account.withLock { $0.farewell(now: ports.now()) }
        do {
            _ = try await ports.exchange(request, ports.now)
            observe(.closed)
        } catch {
            observe(.failed("\(error)"))
        }
    }
}
