import ExchangeBudget
import Hummingbird
import ServiceRuntime
import Workflow

/// `GET /exchange/budgets`: what is left of the exchange's weight, and who has it (docs/http-api.md).
struct BudgetRoutes: Sendable {
    let budgets: BudgetStore

    func add(to router: Router<BasicRequestContext>) {
        router.get("exchange/budgets") { request, _ in
            _ = try Query(request, known: [])
            let views = try await budgets.budgets()
            return try JSONAnswer.response(
                .ok, .object(["budgets": .array(views.map { BudgetAnswerText.budget($0) })]))
        }
    }
}

/// JSON shape of a budget.
enum BudgetAnswerText {
    static func budget(_ view: BudgetView) -> JSONValue {
        let budget = view.budget
        let stay = { (kind: BudgetStay.Kind) in budget.stay?.kind == kind ? view.stayUntil : nil }
        return .object([
            "egress": .string(view.key.egress), "exchange": .string(view.key.exchange),
            "limit": .integer(Int64(budget.limits.weightMax)),
            "usable": .integer(Int64(budget.limits.usable)),
            "metering": .string(budget.metering.rawValue),
            "window_seconds": .integer(budget.windowSeconds),
            "window_start": time(view.windowStart), "window_end": time(view.windowEnd),
            "used": .integer(Int64(budget.reported)),
            "used_by_others": .integer(Int64(budget.usedByOthers)),
            "leased": .integer(Int64(view.leased)),
            "free": .integer(Int64(max(0, budget.limits.usable - budget.committed))),
            "banned_until": time(stay(.ban)), "backing_off_until": time(stay(.backOff)),
            "waiting": .integer(Int64(view.waitingCount)),
            "leases": .array(view.leases.map(lease)),
        ])
    }

    private static func lease(_ lease: BudgetView.Lease) -> JSONValue {
        .object([
            "queue_id": .string(lease.loader.queueID), "step": .string(lease.loader.step),
            "instance": .string(lease.loader.instance), "attempt": .integer(Int64(lease.loader.attempt)),
            "granted": .integer(Int64(lease.holder.granted)),
            "used": .integer(Int64(lease.holder.answered)), "late": .integer(Int64(lease.holder.late)),
            "waiting_ms": lease.waitingMilliseconds.map { .integer($0) } ?? .null,
            "silent_ms": .integer(lease.silentMilliseconds),
        ])
    }

    private static func time(_ milliseconds: Int64?) -> JSONValue {
        milliseconds.map { .string(UTCTimestamp(milliseconds: $0).description) } ?? .null
    }
}
