/// How many shards of a backfill are in each state.
package struct ShardCounts: Sendable, Hashable {
    package var byState: [ShardMachine.State: Int]

    package init(_ byState: [ShardMachine.State: Int]) { self.byState = byState }

    package subscript(_ state: ShardMachine.State) -> Int { byState[state] ?? 0 }
    package var total: Int { byState.values.reduce(0, +) }
    package var open: Int { self[.waiting] + self[.starting] + self[.running] }
}

/// Decides what a backfill needs next, from what is stored (level-triggered).
package enum BackfillPlanner {
    package enum Decision: Sendable, Hashable {
        /// So many waiting shards, the earliest first, get their next try.
        case launch(Int)
        /// Waiting shards end, starting and running ones become unwanted.
        case cancelShards
        /// Tell the queues of unwanted shards to stop.
        case stopUnwanted
        /// No shard is open.
        case end(failed: Int)
    }

    package static func decide(
        _ state: BackfillMachine.State, _ counts: ShardCounts, parallelism: Int
    ) -> [Decision] {
        guard !state.isAtRest else { return [] }
        if counts.open == 0 { return [.end(failed: counts[.failed])] }
        switch state {
        case .running:
            let free = parallelism - counts[.starting] - counts[.running]
            let launches = min(free, counts[.waiting])
            return launches > 0 ? [.launch(launches)] : []
        case .cancelling: return [.cancelShards, .stopUnwanted]
        case .paused, .finished, .failed, .cancelled: return []
        }
    }
}

/// How far a backfill is.
package struct BackfillProgress: Sendable, Hashable {
    /// Finished shards of all, 0 to 1.
    package var shareDone: Double
    /// Seconds until the open shards are done, from how long finished ones took; nil while none is known.
    package var secondsLeft: Int64?

    /// - Parameters:
    ///   - meanSeconds: the mean time of finished shards; nil when there is none.
    package init(_ counts: ShardCounts, parallelism: Int, meanSeconds: Double?) {
        shareDone = counts.total == 0 ? 0 : Double(counts[.finished]) / Double(counts.total)
        guard counts.open > 0 else {
            secondsLeft = 0
            return
        }
        guard let meanSeconds, meanSeconds.isFinite, meanSeconds >= 0 else { return }
        // Shards that run are half done on average.
        let work = Double(counts[.waiting]) + Double(counts[.starting] + counts[.running]) / 2
        secondsLeft = Int64(min(work * meanSeconds / Double(max(parallelism, 1)), 1e15).rounded(.up))
    }
}
