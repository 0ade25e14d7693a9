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

/// What a plan will ask for, told before anything is created.
///
/// A range that is not over yet holds fewer candles, so all of this is at most.
package struct PlanEstimate: Sendable, Hashable {
    /// Records of all producing instances.
    package var records: Int64
    package var exchangeRequests: Int64
    package var exchangeWeight: Int64
    /// The least time the exchange's weight limit allows, when nobody else uses it.
    package var exchangeSeconds: Int64

    package init(_ plan: Plan, _ cost: ExchangeCost) {
        var records: Int64 = 0
        var requests: Int64 = 0
        let range = DayRange(plan.timeRange)
        for step in plan.steps where step.target.isProducer {
            guard let range, let interval = KlineInterval(rawValue: step.interval) else { continue }
            let count = interval.candleCount(from: range.startMilliseconds, to: range.endMilliseconds)
            let rows = Int64(max(cost.pageRows, 1))
            records += count * Int64(plan.symbols.count)
            // At least one answer tells that there is nothing.
            requests += max(1, (count + rows - 1) / rows) * Int64(plan.symbols.count)
        }
        self.records = records
        exchangeRequests = requests
        exchangeWeight = requests * Int64(cost.pageWeight)
        // The first minute's weight is there at once.
        exchangeSeconds = max(0, exchangeWeight - 1) / Int64(max(cost.weightPerMinute, 1)) * 60
    }
}
