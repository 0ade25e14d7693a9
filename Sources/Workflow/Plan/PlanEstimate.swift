import MarketData

/// What the exchange charges for candles, as its documentation says.
package struct ExchangeCost: Sendable, Hashable {
    /// Candles of one answer.
    package var pageRows: Int
    /// Request weight of one answer.
    package var pageWeight: Int
    /// Request weight a minute that one address may use.
    package var weightPerMinute: Int

    package init(pageRows: Int = 1_000, pageWeight: Int = 2, weightPerMinute: Int = 6_000) {
        self.pageRows = pageRows
        self.pageWeight = pageWeight
        self.weightPerMinute = weightPerMinute
    }
}

/// What a plan, or a step of it, will ask for, told before anything is created.
///
/// A range that is not over yet holds fewer candles, so all of this is at most.
package struct PlanEstimate: Sendable, Hashable {
    /// Records of all producing instances.
    package private(set) var records: Int64 = 0
    package private(set) var exchangeRequests: Int64 = 0
    private let cost: ExchangeCost

    package init(_ plan: Plan, _ cost: ExchangeCost) {
        self.cost = cost
        for step in plan.steps { add(step, of: plan) }
    }

    package init(_ step: PlannedStep, of plan: Plan, _ cost: ExchangeCost) {
        self.cost = cost
        add(step, of: plan)
    }

    package var exchangeWeight: Int64 { exchangeRequests * Int64(cost.pageWeight) }

    /// The least time the exchange's weight limit allows, when nobody else uses it.
    package var exchangeSeconds: Int64 {
        // The first minute's weight is there at once.
        max(0, exchangeWeight - 1) / Int64(max(cost.weightPerMinute, 1)) * 60
    }

    private mutating func add(_ step: PlannedStep, of plan: Plan) {
        guard step.target.isProducer else { return }
        let rows = Int64(max(cost.pageRows, 1))
        for instance in plan.instances(of: step) {
            guard let interval = KlineInterval(rawValue: instance.interval) else { continue }
            let range = instance.timeRange
            let count = interval.candleCount(from: range.startMilliseconds, to: range.endMilliseconds)
            records += count
            // At least one answer tells that there is nothing.
            exchangeRequests += max(1, (count + rows - 1) / rows)
        }
    }
}
