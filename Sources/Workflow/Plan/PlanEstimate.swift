import MarketData

/// What the exchange charges, as its documentation says.
package struct ExchangeCost: Sendable, Hashable {
    /// Records of one answer.
    package var pageRows: Int
    /// Request weight of one answer with candles, aggregate trades, raw trades.
    package var candlesWeight: Int
    package var aggregateTradesWeight: Int
    package var rawTradesWeight: Int
    /// Request weight a minute that one address may use.
    package var weightPerMinute: Int

    package init(
        pageRows: Int = 1_000, candlesWeight: Int = 2, aggregateTradesWeight: Int = 4,
        rawTradesWeight: Int = 25, weightPerMinute: Int = 6_000
    ) {
        self.pageRows = pageRows
        self.candlesWeight = candlesWeight
        self.aggregateTradesWeight = aggregateTradesWeight
        self.rawTradesWeight = rawTradesWeight
        self.weightPerMinute = weightPerMinute
    }
}

/// What a plan, or a step of it, will ask for, told before anything is created.
///
/// Of candles this is the most: a range that is not over yet holds fewer. How many trades a range holds nobody
/// knows ahead: of them this is the least, one page an instance.
package struct PlanEstimate: Sendable, Hashable {
    /// Candles of all producing instances.
    package private(set) var records: Int64 = 0
    package private(set) var exchangeRequests: Int64 = 0
    package private(set) var exchangeWeight: Int64 = 0
    /// Whether there are trades in it, so that all numbers are the least.
    package private(set) var isOpen = false
    private let cost: ExchangeCost

    /// Of nothing yet.
    package init(_ cost: ExchangeCost) {
        self.cost = cost
    }

    package init(_ plan: Plan, _ cost: ExchangeCost) {
        self.cost = cost
        for step in plan.steps { add(step, of: plan) }
    }

    package init(_ step: PlannedStep, of plan: Plan, _ cost: ExchangeCost) {
        self.cost = cost
        add(step, of: plan)
    }

    /// The least time the exchange's weight limit allows, when nobody else uses it.
    package var exchangeSeconds: Int64 {
        // The first minute's weight is there at once.
        max(0, exchangeWeight - 1) / Int64(max(cost.weightPerMinute, 1)) * 60
    }

    package mutating func add(_ other: PlanEstimate) {
        records += other.records
        exchangeRequests += other.exchangeRequests
        exchangeWeight += other.exchangeWeight
        isOpen = isOpen || other.isOpen
    }

    private mutating func add(_ step: PlannedStep, of plan: Plan) {
        guard step.target.isProducer else { return }
        let instances = plan.instances(of: step)
        if let kind = TradeKind(type: step.type) {
            // Raw trades begin with a look for the first aggregate.
            addRequests(Int64(instances.count), weight: cost.aggregateTradesWeight)
            if kind == .raw { addRequests(Int64(instances.count), weight: cost.rawTradesWeight) }
            isOpen = isOpen || !instances.isEmpty
            return
        }
        let rows = Int64(max(cost.pageRows, 1))
        for instance in instances {
            guard let interval = KlineInterval(rawValue: instance.interval) else { continue }
            let range = instance.timeRange
            let count = interval.candleCount(from: range.startMilliseconds, to: range.endMilliseconds)
            records += count
            // At least one answer tells that there is nothing.
            addRequests(max(1, (count + rows - 1) / rows), weight: cost.candlesWeight)
        }
    }

    private mutating func addRequests(_ count: Int64, weight: Int) {
        exchangeRequests += count
        exchangeWeight += count * Int64(weight)
    }
}
