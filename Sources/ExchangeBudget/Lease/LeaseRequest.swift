import Workflow

/// What one loader sends to the shared budget, all at once.
package struct LeaseRequest: Sendable, Equatable {
    package struct Ask: Sendable, Equatable {
        package var want: Int
        package var least: Int

        package init(want: Int, least: Int) {
            self.want = want
            self.least = least
        }
    }

    package struct Refusal: Sendable, Equatable {
        package var kind: BudgetStay.Kind
        /// What is left of it.
        package var milliseconds: Int64

        package init(kind: BudgetStay.Kind, milliseconds: Int64) {
            self.kind = kind
            self.milliseconds = milliseconds
        }
    }

    package var report: BudgetReport
    /// The exchange's time by the loader's own clock.
    package var clock: ServerClock?
    package var refusal: Refusal?
    /// nil: it leaves.
    package var ask: Ask?
    /// Of who leaves: what it holds and will not send.
    package var unspent: BudgetRest?

    package init(
        report: BudgetReport = BudgetReport(), clock: ServerClock? = nil, refusal: Refusal? = nil,
        ask: Ask? = nil, unspent: BudgetRest? = nil
    ) {
        self.report = report
        self.clock = clock
        self.refusal = refusal
        self.ask = ask
        self.unspent = unspent
    }
}

extension WeightBudget {
    /// Applies a whole request.
    ///
    /// - Parameters:
    ///   - now: the budget's time.
    ///   - loaderTime: the loader's time at `now`, at least and at most.
    package mutating func apply(
        _ request: LeaseRequest, from name: String, now: Int64, loaderTime: (from: Int64, to: Int64)
    ) -> BudgetAction {
        var report = request.report
        report.clock = request.clock?.seen(by: now, between: loaderTime.from, and: loaderTime.to)
        _ = apply(.answered(report), from: name, now: now)
        if let refusal = request.refusal {
            _ = apply(.refused(refusal.kind, milliseconds: refusal.milliseconds), from: name, now: now)
        }
        guard let ask = request.ask else {
            return apply(.left(unspent: request.unspent), from: name, now: now)
        }
        return apply(.asked(want: ask.want, least: ask.least), from: name, now: now)
    }
}
