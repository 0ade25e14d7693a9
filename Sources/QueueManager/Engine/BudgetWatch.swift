import ExchangeBudget
import Metrics
import ServiceLifecycle

/// Shows the exchange's budgets as metrics. Each replica shows the same.
struct BudgetWatch: Service {
    let budgets: BudgetStore
    let metrics: any MetricsFactory
    let observe: EngineObserver

    private static let period = Duration.seconds(5)

    func run() async throws {
        await loop("budgets", observe: observe) {
            for view in try await budgets.budgets() { show(view) }
            try await Task.sleep(for: Self.period)
        }
    }

    func show(_ view: BudgetView) {
        let budget = view.budget
        let values: [(String, Int)] = [
            ("streamforge_exchange_weight_limit", budget.limits.weightMax),
            ("streamforge_exchange_weight_used", budget.reported),
            ("streamforge_exchange_weight_used_by_others", budget.usedByOthers),
            ("streamforge_exchange_weight_leased", view.leased),
            ("streamforge_exchange_loaders_waiting", view.waitingCount),
            ("streamforge_exchange_banned", budget.stay?.kind == .ban ? 1 : 0),
        ]
        for (name, value) in values {
            // An egress is named by whoever configures the loaders; there are a handful.
            Gauge(label: name, dimensions: [("egress", view.key.egress)], factory: metrics).record(value)
        }
    }
}
