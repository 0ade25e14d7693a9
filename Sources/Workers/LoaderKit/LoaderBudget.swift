import BinanceFeed
import ExchangeBudget
import PostgresBridge
import ServiceRuntime
import WorkerKit
import Workflow

/// The loader's budget by its settings: shared where there is a database for it, else its own.
enum LoaderBudget {
    /// A pool that ends with the budget.
    private struct Shared: RequestBudget {
        let budget: LeasedBudget
        let pool: PostgresPool

        func take(_ weight: Int, waiting: @Sendable (BudgetWait) -> Void) async throws -> BudgetTicket {
            try await budget.take(weight, waiting: waiting)
        }

        func settle(_ ticket: BudgetTicket, _ answer: BudgetAnswer) { budget.settle(ticket, answer) }

        func close() async {
            await budget.close()
            await pool.close()
        }
    }

    /// - Parameter requestWeightMax: the weight of the dearest request; so much is on its way at once at most.
    /// - Throws: ``WorkerFailure`` when `EXCHANGE_BUDGET_URL` is set and of no use. A server that does not answer
    ///   now is waited for later, where the loader can say so.
    static func make(
        _ context: WorkerContext, requestWeightMax: Int, _ observer: LoaderObserver
    ) async throws(WorkerFailure) -> any RequestBudget {
        let values = context.settings
        let own = values[ExchangeSettings.budgetURL]
        guard let text = own ?? values[PostgresSettings.optionalURL] else {
            observer.countedAlone("neither EXCHANGE_BUDGET_URL nor POSTGRES_URL is set")
            return local(values)
        }
        let name = own == nil ? "POSTGRES_URL" : "EXCHANGE_BUDGET_URL"
        let watched = values.watched(own == nil ? PostgresSettings.optionalURL : ExchangeSettings.budgetURL)
        let url: PostgresURL
        do {
            url = try PostgresURL(text)
        } catch {
            throw WorkerFailure(.final, "\(name): \(error)")
        }
        let pool = PostgresPool(BudgetStore.configuration(url.following { watched.current() }))
        let store = BudgetStore(pool)
        if case .unusable(let reason) = await store.readiness() {
            await pool.close()
            guard own == nil else { throw WorkerFailure(.final, "\(name) is of no use: \(reason)") }
            observer.countedAlone("POSTGRES_URL leads to no budget: \(reason)")
            return local(values)
        }
        let shared = shared(store, context, requestWeightMax: requestWeightMax) { observer($0) }
        return Shared(budget: shared, pool: pool)
    }

    private static func local(_ values: SettingValues) -> LocalBudget {
        var limits = LocalBudget.Limits()
        limits.weightMax = values[ExchangeSettings.weightMax]
        return LocalBudget(limits)
    }

    private static func shared(
        _ store: BudgetStore, _ context: WorkerContext, requestWeightMax: Int,
        observe: @escaping @Sendable (LeasedBudget.Observation) -> Void
    ) -> LeasedBudget {
        let values = context.settings
        var limits = WeightBudget.Limits()
        limits.weightMax = values[ExchangeSettings.weightMax]
        limits.inFlightMax = requestWeightMax
        let chosen = limits
        let identity = context.identity
        let key = BudgetStore.Key(
            egress: values[ExchangeSettings.egress],
            exchange: BudgetStore.Key.exchange(of: values[ExchangeSettings.url]))
        let loader = BudgetStore.Loader(
            // Random, so that a process never takes the account of another.
            name: "\(identity.producerID)/\(UInt64.random(in: 0...UInt64.max))",
            queueID: identity.queueID.rawValue, step: identity.instance.step.rawValue,
            instance: identity.instance.instance, attempt: identity.attempt)
        return LeasedBudget(
            LeasedBudget.Ports { request, now in
                try await store.apply(request, to: key, from: loader, limits: chosen, loaderNow: now)
            }, inFlightMax: chosen.inFlightMax, observe: observe)
    }
}
