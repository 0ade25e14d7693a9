import MarketData

/// What a backfill will ask for, told before anything is created.
package struct BackfillEstimate: Sendable, Hashable {
    package var shards: Int
    /// Of all shards.
    package var total: PlanEstimate

    /// - Parameter plan: the plan of any shard; the others differ only in their days.
    package init(_ spec: BackfillSpec, plan: Plan, _ cost: ExchangeCost) throws(RequestError) {
        var total = PlanEstimate(cost)
        for number in 1...spec.shardCount {
            var shard = plan
            shard.timeRange = try spec.timeRange(ofShard: number)
            total.add(PlanEstimate(shard, cost))
        }
        shards = spec.shardCount
        self.total = total
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
