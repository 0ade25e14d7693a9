import PostgresBridge
import Workflow

/// A queue that one reconciler holds for a short time; every write of it carries the token.
package struct QueueClaim: Sendable, Hashable {
    package var queueID: QueueID
    package var token: String
    /// Tells whether somebody asked for another look meanwhile.
    package var lookVersion: Int64
}

/// Everything a look at a queue needs, read in one transaction.
package struct QueueLook: Sendable {
    package var queue: QueueRow
    package var traceparent: String?
    package var instances: [InstanceRow]
    package var liveAttempts: [AttemptRow]
    /// How far the queue's partition of queue-events has been applied.
    package var appliedOffset: Int64
    /// Milliseconds of the database's clock.
    package var now: Int64

    package var snapshot: QueueSnapshot {
        let toldToStop = Set(liveAttempts.lazy.filter { $0.stopAge != nil }.map(\.id))
        return QueueSnapshot(
            status: queue.status, plan: queue.plan,
            instances: Dictionary(
                uniqueKeysWithValues: instances.map {
                    (
                        $0.id,
                        .init(
                            machine: $0.machine, counts: $0.counts, notBefore: $0.notBefore,
                            isStopRequested: toldToStop.contains($0.id), elapsed: $0.elapsed,
                            extra: $0.extra?.members ?? [:])
                    )
                }), now: now, elapsed: queue.elapsed)
    }
}

/// The claim of a queue was lost to another reconciler: whatever was planned is void.
package struct ClaimLost: Error, Sendable, Equatable {}

extension EngineStore {
    /// Long enough for one look; a replica that dies holds a queue up for no longer.
    package static let claimSeconds = 10

    /// Claims queues that want to be looked at, oldest first.
    package func claimQueues(limit: Int, token: String) async throws -> [QueueClaim] {
        let rows = try await pool.execute(
            """
            WITH due AS (
                SELECT queue_id FROM streamforge.queues
                WHERE NOT is_cleaned AND look_at <= now() AND (claim_until IS NULL OR claim_until < now())
                ORDER BY look_at LIMIT \(limit) FOR UPDATE SKIP LOCKED)
            UPDATE streamforge.queues q SET claim_token = \(token),
                claim_until = now() + make_interval(secs => \(Self.claimSeconds)::int)
            FROM due WHERE q.queue_id = due.queue_id RETURNING q.queue_id, q.look_version
            """)
        return try rows.map { row in
            QueueClaim(
                queueID: try row.queueID("queue_id"), token: token,
                lookVersion: try row["look_version", as: Int64.self])
        }
    }

    /// Milliseconds until some queue wants to be looked at, at most `limit`.
    package func millisecondsToNextLook(limit: Int64) async throws -> Int64 {
        let rows = try await pool.execute(
            """
            SELECT coalesce((extract(epoch FROM min(greatest(look_at, coalesce(claim_until, look_at)))
            FILTER (WHERE look_at < 'infinity') - now())
            * 1000)::bigint, \(limit)) AS wait FROM streamforge.queues WHERE NOT is_cleaned
            """)
        let wait = try rows.first.map { try $0["wait", as: Int64.self] } ?? limit
        return min(max(wait, 0), limit)
    }

    /// - Parameter eventPartition: the partition of queue-events that this queue's events go to.
    package func look(at claim: QueueClaim, eventPartition: Int32) async throws -> QueueLook? {
        try await pool.withTransaction(.init(isolation: .repeatableRead, isReadOnly: true)) { transaction in
            guard let (queue, instances) = try await Self.queue(claim.queueID, transaction) else {
                return nil
            }
            let results = try await transaction.execute([
                PostgresQuery(
                    """
                    SELECT \(AttemptRow.columns) FROM streamforge.attempts a
                    WHERE a.queue_id = $1 AND a.ended_at IS NULL
                    """, [claim.queueID.rawValue, Int(eventPartition)]),
                """
                SELECT coalesce((SELECT next_offset FROM streamforge.event_partitions
                WHERE partition = \(Int(eventPartition))), 0) AS applied,
                (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
                (SELECT traceparent FROM streamforge.queues WHERE queue_id = \(claim.queueID.rawValue))
                """,
            ])
            guard let facts = results[1].first else { return nil }
            return QueueLook(
                queue: queue, traceparent: try facts["traceparent", as: String?.self], instances: instances,
                liveAttempts: try results[0].map { try AttemptRow($0) },
                appliedOffset: try facts["applied", as: Int64.self], now: try facts["now", as: Int64.self])
        }
    }

    /// Gives the queue back and says when to look again; nil means only when somebody asks.
    ///
    /// Who asked while we looked (the look version rose) is heard at once.
    package func release(_ claim: QueueClaim, lookAgainMilliseconds: Int64?) async throws {
        try await pool.execute(
            """
            UPDATE streamforge.queues SET claim_token = NULL, claim_until = NULL,
            look_at = CASE WHEN look_version <> \(claim.lookVersion) THEN now()
                WHEN \(optional: lookAgainMilliseconds)::bigint IS NULL THEN 'infinity'
                ELSE now() + \(optional: lookAgainMilliseconds)::bigint * interval '1 millisecond' END
            WHERE queue_id = \(claim.queueID.rawValue) AND claim_token = \(claim.token)
            """)
    }

    /// Runs `body` in a transaction that holds the queue's row and has proved the claim.
    @discardableResult
    func withClaim<R>(
        _ claim: QueueClaim, _ body: (PostgresConnection) async throws -> R
    ) async throws -> R {
        try await pool.withTransaction { transaction in
            let rows = try await transaction.execute(
                """
                UPDATE streamforge.queues
                SET claim_until = now() + make_interval(secs => \(Self.claimSeconds)::int)
                WHERE queue_id = \(claim.queueID.rawValue) AND claim_token = \(claim.token)
                """)
            guard rows.affectedRows == 1 else { throw ClaimLost() }
            return try await body(transaction)
        }
    }

    /// Moves the queue to `status` if it may.
    package func setStatus(_ status: QueueStatus, reason: String?, claim: QueueClaim) async throws {
        try await withClaim(claim) { transaction in
            let id = claim.queueID.rawValue
            let from = QueueStatus.allCases.filter { $0.mayBecome(status) }.map(\.rawValue)
            let changed = try await transaction.execute(
                """
                UPDATE streamforge.queues SET status = \(status.rawValue), reason = \(optional: reason),
                started_at = CASE WHEN \(status == .running) THEN coalesce(started_at, now()) ELSE started_at END,
                finished_at = CASE WHEN \(status.isFinal) THEN now() ELSE finished_at END
                WHERE queue_id = \(id) AND status = ANY(\(from)::text[])
                """)
            guard changed.affectedRows == 1 else { return }
            var statements = [
                Self.historyInsert(
                    id, kind: "queue_\(status.rawValue)", actor: "engine",
                    detail: reason.map { ["reason": .string($0)] } ?? [:])
            ]
            if status.isFinal { statements.append("DELETE FROM streamforge.outbox WHERE queue_id = \(id)") }
            try await transaction.execute(statements)
        }
    }

    /// Nothing runs and the topics are gone: the queue is never looked at again.
    package func setCleaned(_ claim: QueueClaim) async throws {
        try await withClaim(claim) { transaction in
            try await transaction.execute(
                "UPDATE streamforge.queues SET is_cleaned = true WHERE queue_id = \(claim.queueID.rawValue)")
        }
    }

    /// Asks for a look at a queue now.
    package func requestLook(at id: QueueID) async throws {
        try await pool.execute(
            """
            UPDATE streamforge.queues SET look_at = now(), look_version = look_version + 1
            WHERE queue_id = \(id.rawValue) AND NOT is_cleaned
            """)
    }
}
