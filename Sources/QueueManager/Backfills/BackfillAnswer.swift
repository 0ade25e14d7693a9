import Workflow

/// JSON shapes of backfills and shards (docs/http-api.md).
enum BackfillAnswer {
    static func summary(_ row: BackfillRow) -> [String: JSONValue] {
        row.spec.json.merging([
            "name": .string(row.name.rawValue), "state": .string(row.state.rawValue),
            "shard_count": .integer(Int64(row.spec.shardCount)), "created_at": .string(row.createdAt),
            "ended_at": text(row.endedAt),
        ]) { first, _ in first }
    }

    static func whole(_ row: BackfillRow, _ counts: ShardCounts, _ progress: BackfillProgress) -> JSONValue {
        var fields = summary(row)
        let states = ShardMachine.State.allCases.map { ($0.rawValue, JSONValue.integer(Int64(counts[$0]))) }
        fields["progress"] = .object([
            "shards": .object(Dictionary(uniqueKeysWithValues: states)),
            "share_done": .number(progress.shareDone),
            "seconds_left": progress.secondsLeft.map { .integer($0) } ?? .null,
        ])
        return .object(fields)
    }

    static func shard(_ row: ShardRow, _ spec: BackfillSpec) -> JSONValue {
        .object([
            "shard": .integer(Int64(row.number)), "days": .string(spec.shard(row.number).description),
            "state": .string(row.machine.state.rawValue), "try": .integer(Int64(row.machine.attempt)),
            "reason": text(row.machine.reason), "queue_id": text(row.queueID?.rawValue),
            "started_at": text(row.startedAt), "ended_at": text(row.endedAt),
        ])
    }

    static func preview(_ spec: BackfillSpec, _ estimate: BackfillEstimate) -> JSONValue {
        let listed = (1...spec.shardCount).prefix(BackfillRoutes.previewShardsMax)
        return .object([
            "shard_count": .integer(Int64(estimate.shards)), "queues": .integer(Int64(estimate.shards)),
            "parallelism": .integer(Int64(spec.parallelism)),
            // The first ones; the others follow the same pattern.
            "shards": .array(listed.map { .string(spec.shard($0).description) }),
            "estimate": estimate.total.json,
        ])
    }

    private static func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
}
