import MarketData

/// What a backfill will ask for, told before anything is created.
package struct BackfillEstimate: Sendable, Hashable {
    package var shards: Int
    package var records: Int64
    package var exchangeRequests: Int64
    package var exchangeWeight: Int64
    /// The least time the exchange's weight limit allows, when nobody else uses it.
    package var exchangeSeconds: Int64

    /// - Parameter plan: the plan of any shard; the others differ only in their days.
    package init(_ spec: BackfillSpec, plan: Plan, _ cost: ExchangeCost) throws(RequestError) {
        var (records, requests, weight) = (Int64(0), Int64(0), Int64(0))
        for number in 1...spec.shardCount {
            var shard = plan
            shard.timeRange = try spec.timeRange(ofShard: number)
            let estimate = PlanEstimate(shard, cost)
            records += estimate.records
            requests += estimate.exchangeRequests
            weight += estimate.exchangeWeight
        }
        shards = spec.shardCount
        self.records = records
        exchangeRequests = requests
        exchangeWeight = weight
        // The first minute's weight is there at once.
        exchangeSeconds = max(0, weight - 1) / Int64(max(cost.weightPerMinute, 1)) * 60
    }
}

extension BackfillSpec {
    /// The days that a shard's request loads.
    func timeRange(ofShard number: Int) throws(RequestError) -> String {
        let shard = shard(number)
        guard case .object(let fields) = request, let own = fields["time_range"]?.string else {
            return shard.description
        }
        return try BodyPlaceholders.shard(shard, number: number).fill(own, path: "request.time_range")
    }
}
