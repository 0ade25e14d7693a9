import PostgresBridge
import Workflow

extension EngineStore: EngineStorage {
    package func look(
        _ request: LookRequest, _ work: @Sendable (inout QueueState, LookFacts, QueueClaim) -> LookPlan
    ) async throws -> [LookResult] {
        let (results, freed) = try await pool.withTransaction { transaction in
            let (claimed, rows) = try await lockAndLoad(request.selection, transaction)
            guard !claimed.isEmpty else { return ([LookResult](), Set<Resource>()) }
            var queues = Dictionary(
                uniqueKeysWithValues: claimed.map { ($0.claim.queueID.rawValue, $0.queue) })
            for row in rows[0] { try queues[try row["queue_id", as: String.self]]?.addInstance(row) }
            for row in rows[1] { try queues[try row["queue_id", as: String.self]]?.addAttempt(row) }
            let facts = try PartitionFacts(rows[2])
            var resources = try await loadResources(for: Array(queues.values), transaction)
            var results: [LookResult] = []
            for (claim, _) in claimed {
                guard var queue = queues[claim.queueID.rawValue] else { continue }
                self.known.note(queue)
                var known = facts.look(request.eventPartition(claim.queueID))
                known.resources = resources?.view(of: queue)
                let plan = work(&queue, known, claim)
                resources?.settle(queue, plan.waits)
                results.append(LookResult(claim: claim, queue: queue, plan: plan))
            }
            let changes = resources?.changes ?? ResourceTable.Changes()
            try await transaction.executeAndCommit(
                try Self.save(
                    results.map { ($0.queue, QueueSchedule(after: $0.plan, token: $0.claim.token)) })
                    + Self.save(changes))
            return (results, changes.freed)
        }
        try await wake(freed)
        return results
    }

    /// Those that changed since; of a queue that is not known, all.
    static func instances(
        of queues: [QueueID], since known: [QueueID: InstanceCache.Entry]
    ) -> PostgresQuery {
        """
        SELECT \(raw: InstanceState.columns) FROM streamforge.instances i
        JOIN unnest(\(queues.map(\.rawValue))::text[], \(queues.map { known[$0]?.version ?? -1 })::bigint[])
        AS x(queue_id, known) ON i.queue_id = x.queue_id AND i.version > x.known
        """
    }

    /// Those whose jobs are not known to be gone.
    static func openAttempts(of queues: [String]) -> PostgresQuery {
        """
        SELECT \(raw: AttemptState.columns) FROM streamforge.attempts a
        WHERE a.queue_id = ANY(\(queues)::text[]) AND NOT a.is_gone
        """
    }

    private typealias ClaimedQueue = (claim: QueueClaim, queue: QueueState)

    /// - Returns: the queues, locked, and rows of their instances, their open attempts and the partitions; of
    ///   no queue there are no rows.
    private func lockAndLoad(
        _ selection: LookSelection, _ transaction: PostgresConnection
    ) async throws -> (queues: [ClaimedQueue], rows: [PostgresResult]) {
        switch selection {
        case .due(let limit, let token):
            let rows = try await transaction.execute(
                """
                SELECT \(raw: QueueState.columns) FROM streamforge.queues
                WHERE NOT is_cleaned AND look_at <= now() AND look_at < 'infinity' ORDER BY look_at LIMIT \(limit)
                \(raw: QueueState.lock) SKIP LOCKED
                """)
            guard !rows.isEmpty else { return ([], []) }
            var queues = try rows.map { try QueueState($0, plans) }
            let entries = known.entries(of: queues.map(\.queueID))
            for index in queues.indices { queues[index].recall(entries[queues[index].queueID]) }
            let parts = try await transaction.execute(Self.parts(of: queues.map(\.queueID), since: entries))
            return (queues.map { (QueueClaim(queueID: $0.queueID, token: token), $0) }, parts)
        case .claimed(let claims):
            let ids = claims.map(\.queueID)
            let entries = known.entries(of: ids)
            // Each statement sees what was written before it began: the second ones see what the lock had to
            // wait for.
            var results = try await transaction.execute(
                [QueueState.selectLocked(ids, known: entries)] + Self.parts(of: ids, since: entries))
            let tokens = Dictionary(claims.map { ($0.queueID, $0.token) }) { _, newer in newer }
            let queues = try results.removeFirst().compactMap { row -> ClaimedQueue? in
                var queue = try QueueState(row, plans, known: entries)
                queue.recall(entries[queue.queueID])
                guard let token = try row["claim_token", as: String?.self], tokens[queue.queueID] == token
                else { return nil }
                return (QueueClaim(queueID: queue.queueID, token: token), queue)
            }
            return (queues, results)
        }
    }

    private static func parts(
        of queues: [QueueID], since known: [QueueID: InstanceCache.Entry]
    ) -> [PostgresQuery] {
        [
            instances(of: queues, since: known), openAttempts(of: queues.map(\.rawValue)),
            PartitionFacts.query,
        ]
    }

    package func renew(_ claims: [QueueClaim]) async throws {
        try await withoutWaitingForDisk(
            """
            UPDATE streamforge.queues q
            SET look_at = now() + \(LookRequest.claimMilliseconds)::bigint * interval '1 millisecond'
            FROM (SELECT queue_id FROM streamforge.queues
                JOIN unnest(\(claims.map(\.queueID.rawValue))::text[], \(claims.map(\.token))::text[])
                AS x(queue_id, token) USING (queue_id) WHERE claim_token = x.token
                \(raw: QueueState.lock) SKIP LOCKED) AS held
            WHERE q.queue_id = held.queue_id
            """)
    }

    package func release(_ claim: QueueClaim, lookAgain milliseconds: Int64) async throws {
        try await pool.execute(
            """
            UPDATE streamforge.queues SET claim_token = NULL,
            look_at = now() + \(milliseconds)::bigint * interval '1 millisecond'
            WHERE queue_id = \(claim.queueID.rawValue) AND claim_token = \(claim.token)
            """)
    }

    package func millisecondsToNextLook(limit: Int64) async throws -> Int64 {
        let rows = try await pool.execute(
            """
            SELECT (extract(epoch FROM look_at - now()) * 1000)::bigint AS wait FROM streamforge.queues
            WHERE NOT is_cleaned AND look_at < 'infinity' ORDER BY look_at LIMIT 1
            """)
        let wait = try rows.first.map { try $0["wait", as: Int64.self] } ?? limit
        return min(max(wait, 0), limit)
    }

    package func requestLook(at id: QueueID) async throws {
        // A claimed queue is looked at again anyway before its claim is given back.
        try await withoutWaitingForDisk(
            """
            UPDATE streamforge.queues SET look_at = least(look_at, now())
            WHERE queue_id = \(id.rawValue) AND NOT is_cleaned AND claim_token IS NULL
            """)
    }

    /// For what may be lost with a machine, as it is soon said again: its rows are not locked while a disk writes.
    private func withoutWaitingForDisk(_ query: PostgresQuery) async throws {
        try await pool.withTransaction {
            try await $0.executeAndCommit(["SET LOCAL synchronous_commit = off", query])
        }
    }
}
