import ExchangeBudget
import ServiceRuntime

extension SymbolCatalog {
    /// Asks nothing while the exchange wants nobody of our address: a question during a ban makes it longer.
    package func stayingAway(_ budgets: BudgetStore, egress: String, exchange: String) -> SymbolCatalog {
        let key = BudgetStore.Key(egress: egress, exchange: exchange)
        return SymbolCatalog { symbols in
            let view = try await budgets.budgets().first { $0.key == key }
            if let view, let stay = view.budget.stay, let until = view.stayUntil {
                throw ExchangeStay(kind: stay.kind, until: until)
            }
            return try await check(symbols)
        }
    }
}

/// The exchange refuses this address for now.
struct ExchangeStay: Error, CustomStringConvertible {
    var kind: BudgetStay.Kind
    /// By its own clock, Unix milliseconds.
    var until: Int64

    var description: String {
        let act = kind == .ban ? "it has banned this address" : "it asked this address to stay away"
        return "\(act) until \(UTCTimestamp(milliseconds: until))"
    }
}
