import PostgresBridge
import Workflow

extension EngineStore {
    /// Ownership of an event partition lasts this long without renewal (design decision 5).
    package static let partitionLeaseSeconds = 3

    package func renewPartitions(
        count: Int32, owner: String, caughtUp: [Int32], upTo: Int64
    ) async throws -> PartitionRenewal {
        let results = try await pool.withTransaction { transaction in
            try await transaction.execute([
                """
                INSERT INTO streamforge.event_partitions (partition, caught_up_at)
                SELECT generate_series(0, \(Int(count) - 1)), now() ON CONFLICT DO NOTHING
                """,
                Self.noteCaughtUp(caughtUp, upTo: upTo, owner: owner),
                """
                UPDATE streamforge.event_partitions SET owner = \(owner),
                owned_until = now() + make_interval(secs => \(Self.partitionLeaseSeconds)::int)
                WHERE partition IN (
                    SELECT partition FROM streamforge.event_partitions
                    WHERE partition < \(Int(count)) AND (owner = \(owner) OR owner IS NULL OR owned_until < now())
                    ORDER BY partition FOR UPDATE SKIP LOCKED)
                RETURNING partition, next_offset
                """,
                "SELECT \(raw: milliseconds("clock_timestamp()", as: "now"))",
            ])
        }
        let partitions = try results[2].map {
            OwnedPartition(
                partition: Int32(try $0["partition", as: Int.self]),
                nextOffset: try $0["next_offset", as: Int64.self])
        }
        let clock = try results[3].first.map { try $0["now", as: Int64.self] } ?? 0
        return PartitionRenewal(partitions: partitions, clock: clock)
    }

    /// The clock never goes back: another reader may have been further.
    private static func noteCaughtUp(_ partitions: [Int32], upTo: Int64, owner: String) -> PostgresQuery {
        """
        UPDATE streamforge.event_partitions SET
        blind_ms = blind_ms + CASE WHEN x.gap > \(PartitionRenewal.gapMilliseconds)::bigint THEN x.gap ELSE 0 END,
        caught_up_at = greatest(caught_up_at, timestamptz 'epoch' + \(upTo)::bigint * interval '1 millisecond')
        FROM (SELECT partition AS number,
            coalesce(\(upTo)::bigint - (extract(epoch FROM caught_up_at) * 1000)::bigint, 0) AS gap
            FROM streamforge.event_partitions) AS x
        WHERE x.number = partition AND owner = \(owner) AND partition = ANY(\(partitions.map(Int.init))::int[])
        """
    }

    /// Gives our partitions to whoever asks next, so that a clean stop costs no lease time.
    package func disownPartitions(owner: String) async throws {
        try await pool.execute(
            "UPDATE streamforge.event_partitions SET owner = NULL, owned_until = NULL WHERE owner = \(owner)")
    }

    package func apply(
        _ batches: [EventBatch], owner: String, look: EventLook?,
        _ work: @Sendable (inout QueueState, QueueEvent, EventFacts) -> Bool
    ) async throws -> ApplyReport {
        try await pool.withTransaction { transaction in
            var concerned = try await loadConcerned(
                by: batches, owner: owner, look, transaction)
            var report = ApplyReport()
            for (id, partition) in concerned.free where concerned.held[id] != nil {
                guard var queue = concerned.queues.removeValue(forKey: id) else { continue }
                look?.followUp(&queue, concerned.facts.look(partition))
                concerned.queues[id] = queue
            }
            for batch in batches {
                let partition = concerned.facts.event(batch.from.partition)
                for event in batch.events.map(\.event) {
                    guard let event, var queue = concerned.queues.removeValue(forKey: event.queueID) else {
                        report.skipped += 1
                        continue
                    }
                    if work(&queue, event, partition) { report.applied += 1 } else { report.skipped += 1 }
                    concerned.queues[event.queueID] = queue
                }
            }
            var rows: [ScheduledQueue] = []
            for var queue in concerned.queues.values.sorted(by: { $0.queueID.rawValue < $1.queueID.rawValue })
            {
                var schedule: QueueSchedule = queue.changes.needsLook ? .soon : .keep
                let held = concerned.held[queue.queueID]
                if let look, let partition = concerned.free[queue.queueID],
                    let plan = report.look(
                        at: &queue, look, held: held, concerned.facts.look(partition))
                {
                    schedule = QueueSchedule(after: plan, token: held?.token ?? look.token)
                } else if queue.changes.needsLook, !concerned.claimed.contains(queue.queueID) {
                    report.needsLook = true
                }
                rows.append((queue, schedule))
            }
            try await transaction.executeAndCommit(try Self.save(rows))
            return report
        }
    }

    private static func moveOffsets(_ batches: [EventBatch], owner: String) -> PostgresQuery {
        """
        UPDATE streamforge.event_partitions p SET next_offset = x.next
        FROM unnest(\(batches.map(\.from.partition))::int[], \(batches.map(\.from.nextOffset))::bigint[],
        \(batches.map(\.nextOffset))::bigint[]) AS x(partition, expected, next)
        WHERE p.partition = x.partition AND p.next_offset = x.expected AND p.owner = \(owner)
        RETURNING p.partition
        """
    }

    private static func checkMoved(_ moved: PostgresResult, _ batches: [EventBatch]) throws {
        let done = Set(try moved.map { Int32(try $0["partition", as: Int.self]) })
        if let lost = batches.first(where: { !done.contains($0.from.partition) }) {
            throw PartitionLost(partition: lost.from.partition)
        }
    }

    /// The queues that events name, locked.
    private struct Concerned {
        var queues: [QueueID: QueueState] = [:]
        /// Those that may be looked at, with all their instances, and their partitions.
        var free: [QueueID: Int32] = [:]
        /// Those of them that were handed in.
        var held: [QueueID: QueueClaim] = [:]
        /// Those that somebody holds, who looks again before giving them back.
        var claimed: Set<QueueID> = []
        var facts: PartitionFacts
    }

    /// Moves the offsets, locks the queues that events name and reads the instances and attempts they name; all
    /// of those of queues that may be looked at and that nothing limits: what others compete for is left to the
    /// reconciler. Large queues are looked at only when an attempt has ended.
    private func loadConcerned(
        by batches: [EventBatch], owner: String, _ look: EventLook?, _ transaction: PostgresConnection
    ) async throws -> Concerned {
        let events = batches.flatMap { $0.events.compactMap(\.event) }
        let keys = Set(
            events.map { AttemptKey(queue: $0.queueID, step: $0.step, instance: $0.instance, $0.attempt) })
        let partitions = Dictionary(
            batches.flatMap { batch in
                batch.events.compactMap { $0.event.map { ($0.queueID, batch.from.partition) } }
            }
        ) { first, _ in first }
        let entries = known.entries(of: partitions.keys)
        let ending = Set(events.filter(\.finished).map(\.queueID))
        // Of queues that are known to be large, what is wanted of them is read at once.
        let first = Rows(
            whole: ending.filter { entries[$0] != nil && look?.taken.contains($0) == false }, known: entries,
            keys: keys.filter { entries[$0.queue] != nil })
        // Each statement sees what was written before it began: those after the lock see what it had to wait for.
        let head = [
            Self.moveOffsets(batches, owner: owner),
            QueueState.selectLocked(partitions.keys, known: entries),
            PartitionFacts.query,
        ]
        let results = try await transaction.execute(head + first.queries)
        try Self.checkMoved(results[0], batches)
        var concerned = Concerned(facts: try PartitionFacts(results[2]))
        var instancesLeft = ApplyReport.instancesMax
        for row in results[1] {
            var queue = try QueueState(row, plans, known: entries)
            if first.whole.contains(queue.queueID) { queue.recall(entries[queue.queueID]) }
            concerned.queues[queue.queueID] = queue
            let token = try row["claim_token", as: String?.self]
            if token != nil { concerned.claimed.insert(queue.queueID) }
            guard let look, !limits.concern(queue.plan) else { continue }
            let count = plans.instanceCount(of: queue.plan)
            if count > ApplyReport.lookInstancesMax {
                guard ending.contains(queue.queueID), count <= instancesLeft else { continue }
                instancesLeft -= count
            }
            if let token, let claim = look.held[queue.queueID], claim.token == token {
                concerned.held[queue.queueID] = claim
            } else if token != nil {
                continue
            }
            concerned.free[queue.queueID] = partitions[queue.queueID]
        }
        try first.add(results.dropFirst(head.count), to: &concerned.queues)
        let rest = Rows(
            whole: Set(concerned.free.keys).subtracting(first.whole), known: entries,
            keys: keys.filter { entries[$0.queue] == nil })
        if !rest.queries.isEmpty {
            for id in rest.whole { concerned.queues[id]?.recall(entries[id]) }
            try rest.add(try await transaction.execute(rest.queries)[...], to: &concerned.queues)
        }
        for id in first.whole.union(rest.whole) { concerned.queues[id].map(known.note) }
        return concerned
    }

    /// What is read of the queues that events name.
    private struct Rows {
        /// Of these all instances and all open attempts.
        let whole: Set<QueueID>
        /// Of these only the instances that changed since.
        let known: [QueueID: InstanceCache.Entry]
        /// Of all others the attempts that are named, and their instances.
        let keys: Set<AttemptKey>

        private var instances: [PostgresQuery] {
            let parts = keys.filter { !whole.contains($0.queue) }
            return (whole.isEmpty ? [] : [EngineStore.instances(of: Array(whole), since: known)])
                + (parts.isEmpty ? [] : [EngineStore.instances(parts)])
        }
        private var attempts: [PostgresQuery] {
            (whole.isEmpty ? [] : [EngineStore.openAttempts(of: whole.map(\.rawValue))])
                + (keys.isEmpty ? [] : [EngineStore.attempts(keys)])
        }
        var queries: [PostgresQuery] { instances + attempts }

        func add(_ results: ArraySlice<PostgresResult>, to queues: inout [QueueID: QueueState]) throws {
            let count = instances.count
            for row in results.prefix(count).joined() {
                try queues[try row.queueID("queue_id")]?.addInstance(row)
            }
            for row in results.dropFirst(count).joined() {
                try queues[try row.queueID("queue_id")]?.addAttempt(row)
            }
        }
    }

    fileprivate static func instances(_ keys: some Collection<AttemptKey>) -> PostgresQuery {
        """
        SELECT \(raw: InstanceState.columns) FROM streamforge.instances i
        JOIN (SELECT DISTINCT * FROM unnest(\(keys.map(\.queue.rawValue))::text[],
        \(keys.map(\.step.rawValue))::text[], \(keys.map(\.instance))::text[])
        AS y(queue_id, step, instance)) AS x USING (queue_id, step, instance)
        """
    }

    fileprivate static func attempts(_ keys: some Collection<AttemptKey>) -> PostgresQuery {
        """
        SELECT \(raw: AttemptState.columns) FROM streamforge.attempts a
        JOIN unnest(\(keys.map(\.queue.rawValue))::text[], \(keys.map(\.step.rawValue))::text[],
        \(keys.map(\.instance))::text[], \(keys.map(\.attempt))::int[])
        AS x(queue_id, step, instance, attempt) USING (queue_id, step, instance, attempt)
        """
    }

}

private struct AttemptKey: Hashable {
    var queue: QueueID
    var step: StepID
    var instance: String
    var attempt: Int

    init(queue: QueueID, step: StepID, instance: String, _ attempt: Int) {
        self.queue = queue
        self.step = step
        self.instance = instance
        self.attempt = attempt
    }
}
