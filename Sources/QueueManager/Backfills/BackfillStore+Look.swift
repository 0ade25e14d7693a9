import PostgresBridge
import Workflow

/// A shard whose queue is to be created now.
package struct StartingShard: Sendable {
    package var backfill: ObjectName
    package var number: Int
    package var attempt: Int
    package var tries: Int
    package var body: JSONValue

    /// The same for every repeat of this try, and for nothing else.
    package var idempotencyKey: String { "backfill/\(backfill)/\(number)/\(attempt)" }
}

/// What a look at a backfill leaves to do outside of the database.
package struct BackfillLook: Sendable {
    package var name: ObjectName
    /// The state that was reached by this look, when it changed.
    package var reached: BackfillMachine.State?
    package var starting: [StartingShard] = []
    /// Queues of shards that nobody wants any more.
    package var stopping: [QueueID] = []
    /// When to look again, Unix milliseconds; nil only when somebody asks.
    package var lookAt: Int64?
}

extension BackfillStore {
    /// Queues created in one look, side by side; the next look, at once, creates more.
    package static let startsMax = 10
    /// Between looks while a queue of the backfill runs: it ends without telling us.
    static let openPollMilliseconds: Int64 = 1_000

    /// Writes down what ended, decides what is next and writes that down, in one transaction.
    ///
    /// - Throws: ``ClaimLost``.
    package func look(at claim: RowClaim) async throws -> BackfillLook {
        try await pool.withTransaction { transaction in
            try await claims.prove(claim, transaction)
            let rows = try await transaction.execute(
                """
                SELECT \(raw: BackfillRow.columns(clock)) FROM streamforge.backfills WHERE name = \(claim.key)
                """)
            guard let backfill = try rows.first.map(BackfillRow.init) else { throw ClaimLost() }
            var look = BackfillLook(name: backfill.name)
            try await endShards(of: backfill.name, transaction)
            let counts = try await Self.counts(backfill.name, transaction)
            let decisions = BackfillPlanner.decide(
                backfill.state, counts, parallelism: backfill.spec.parallelism)
            for decision in decisions {
                switch decision {
                case .launch(let count): try await launch(count, backfill.name, transaction)
                case .cancelShards: try await cancelShards(of: backfill.name, transaction)
                case .stopUnwanted: look.stopping = try await unwanted(backfill.name, transaction)
                case .end(let failed):
                    look.reached = try await end(backfill, failed: failed, transaction)
                }
            }
            guard look.reached == nil, !backfill.state.isAtRest else { return look }
            // Cancelling may leave nothing open: then the end is decided at the next look, at once.
            try await addStarts(backfill, &look, transaction)
            return look
        }
    }

    /// Applies what became of the queues of running shards. One that is gone has been final before, but
    /// nobody saw how it ended.
    private func endShards(of name: ObjectName, _ transaction: PostgresConnection) async throws {
        let rows = try await transaction.execute(
            """
            SELECT s.number, s.state, s.attempt, s.is_wanted, s.reason, q.status AS queue_status,
            q.reason AS queue_reason FROM streamforge.backfill_shards s
            LEFT JOIN streamforge.queues q ON q.queue_id = s.queue_id
            WHERE s.backfill = \(name.rawValue) AND s.state = 'running' FOR UPDATE OF s
            """)
        for row in rows {
            var machine = try ShardMachine(row)
            let status = try row["queue_status", as: String?.self]
            let reason = status == nil ? "its queue was deleted" : try row["queue_reason", as: String?.self]
            let known = status.map { QueueStatus(rawValue: $0) } ?? .failed
            // A status of a newer version is not final to us; that version looks here too.
            guard let known, known.isFinal,
                machine.apply(.queueEnded(attempt: machine.attempt, known, reason: reason)) != .ignore
            else { continue }
            try await write(machine, of: name, number: try row["number", as: Int.self], transaction)
        }
    }

    private func launch(_ count: Int, _ name: ObjectName, _ transaction: PostgresConnection) async throws {
        let rows = try await transaction.execute(
            """
            SELECT number, state, attempt, is_wanted, reason FROM streamforge.backfill_shards
            WHERE backfill = \(name.rawValue) AND state = 'waiting' ORDER BY number LIMIT \(count) FOR UPDATE
            """)
        for row in rows {
            var machine = try ShardMachine(row)
            guard machine.apply(.launch) == .changed else { continue }
            try await write(machine, of: name, number: try row["number", as: Int.self], transaction)
        }
    }

    /// What ``ShardMachine`` answers to `cancel`, for up to 10,000 rows at once.
    private func cancelShards(of name: ObjectName, _ transaction: PostgresConnection) async throws {
        try await transaction.execute([
            """
            UPDATE streamforge.backfill_shards SET state = 'cancelled', reason = NULL, ended_at = now()
            WHERE backfill = \(name.rawValue) AND state = 'waiting'
            """,
            """
            UPDATE streamforge.backfill_shards SET is_wanted = false
            WHERE backfill = \(name.rawValue) AND state IN ('starting', 'running') AND is_wanted
            """,
        ])
    }

    private func unwanted(_ name: ObjectName, _ transaction: PostgresConnection) async throws -> [QueueID] {
        try await transaction.execute(
            """
            SELECT queue_id FROM streamforge.backfill_shards
            WHERE backfill = \(name.rawValue) AND state = 'running' AND NOT is_wanted ORDER BY number
            """
        ).map { try $0.queueID("queue_id") }
    }

    private func end(
        _ backfill: BackfillRow, failed: Int, _ transaction: PostgresConnection
    ) async throws -> BackfillMachine.State? {
        var machine = BackfillMachine(backfill.state)
        guard machine.apply(.shardsOver(failed: failed)) == .changed else { return nil }
        try await transaction.execute(
            """
            UPDATE streamforge.backfills SET state = \(machine.state.rawValue), ended_at = now()
            WHERE name = \(backfill.name.rawValue)
            """)
        return machine.state
    }

    private func addStarts(
        _ backfill: BackfillRow, _ look: inout BackfillLook, _ transaction: PostgresConnection
    ) async throws {
        let rows = try await transaction.execute(
            """
            SELECT number, attempt, tries, try_at, state FROM streamforge.backfill_shards
            WHERE backfill = \(backfill.name.rawValue) AND state IN ('starting', 'running')
            ORDER BY number LIMIT \(BackfillSpec.parallelism.upperBound)
            """)
        var soonest: Int64?
        for row in rows {
            guard try row.word("state", as: ShardMachine.State.self) == .starting else {
                soonest = min(soonest ?? .max, backfill.now + Self.openPollMilliseconds)
                continue
            }
            let tryAt = try row["try_at", as: Int64.self]
            soonest = min(soonest ?? .max, tryAt)
            guard tryAt <= backfill.now, look.starting.count < Self.startsMax else { continue }
            let number = try row["number", as: Int.self]
            look.starting.append(
                StartingShard(
                    backfill: backfill.name, number: number, attempt: try row["attempt", as: Int.self],
                    tries: try row["tries", as: Int.self], body: try backfill.spec.body(ofShard: number)))
        }
        if backfill.state == .cancelling, soonest == nil { soonest = 0 }
        look.lookAt = soonest
    }

    private func write(
        _ machine: ShardMachine, of name: ObjectName, number: Int, _ transaction: PostgresConnection
    ) async throws {
        let isLaunch = machine.state == .starting
        try await transaction.execute(
            """
            UPDATE streamforge.backfill_shards SET state = \(machine.state.rawValue),
            attempt = \(machine.attempt), is_wanted = \(machine.isWanted),
            reason = \(optional: machine.reason),
            tries = CASE WHEN \(isLaunch) THEN 0 ELSE tries END,
            try_at = CASE WHEN \(isLaunch) THEN 0 ELSE try_at END,
            queue_id = CASE WHEN \(isLaunch) THEN NULL ELSE queue_id END,
            started_at = CASE WHEN \(isLaunch) THEN now() ELSE started_at END,
            ended_at = CASE WHEN \(machine.state.isOver) THEN now() END
            WHERE backfill = \(name.rawValue) AND number = \(number)
            """)
    }

    // MARK: - What became of a start

    /// Writes down that the shard's queue was created. A repeat changes nothing, and needs no claim: the key
    /// gives every replica the same queue.
    ///
    /// - Returns: whether that queue is to be stopped, as nobody wants the shard any more.
    func recordStarted(_ shard: StartingShard, _ queueID: QueueID) async throws -> Bool {
        try await pool.withTransaction { transaction in
            guard let (row, own) = try await lock(shard, transaction) else { return true }
            var machine = row
            let answer = machine.apply(.started(attempt: shard.attempt))
            guard answer != .ignore else {
                // A slower replica: the shard has moved on, with this queue or without it.
                return own != queueID.rawValue || !machine.isWanted
            }
            try await write(machine, of: shard.backfill, number: shard.number, transaction)
            try await transaction.execute(
                """
                UPDATE streamforge.backfill_shards SET queue_id = \(queueID.rawValue)
                WHERE backfill = \(shard.backfill.rawValue) AND number = \(shard.number)
                """)
            return answer == .stopQueue
        }
    }

    /// The request was refused for good, or is refused just now and nobody wants the shard any more.
    func recordRefused(_ shard: StartingShard, reason: String) async throws {
        try await pool.withTransaction { transaction in
            guard var (machine, _) = try await lock(shard, transaction),
                machine.apply(.refused(attempt: shard.attempt, reason: StartRetry.reason(reason))) != .ignore
            else { return }
            try await write(machine, of: shard.backfill, number: shard.number, transaction)
        }
    }

    /// Another try later, unless nobody wants the shard any more and nothing was created.
    func recordRetry(_ shard: StartingShard, reason: String, isKnownToBeNothing: Bool) async throws {
        let pause = StartRetry.pause(afterFailures: shard.tries + 1)
        let rows = try await pool.execute(
            """
            UPDATE streamforge.backfill_shards SET tries = tries + 1, reason = \(StartRetry.reason(reason)),
            try_at = \(raw: clock.sql()) + \(pause)
            WHERE backfill = \(shard.backfill.rawValue) AND number = \(shard.number)
            AND attempt = \(shard.attempt) AND state = 'starting' RETURNING is_wanted
            """)
        guard isKnownToBeNothing, let row = rows.first, try !row["is_wanted", as: Bool.self] else { return }
        try await recordRefused(shard, reason: reason)
    }

    private func lock(
        _ shard: StartingShard, _ transaction: PostgresConnection
    ) async throws -> (ShardMachine, queueID: String?)? {
        let rows = try await transaction.execute(
            """
            SELECT state, attempt, is_wanted, reason, queue_id FROM streamforge.backfill_shards
            WHERE backfill = \(shard.backfill.rawValue) AND number = \(shard.number) FOR UPDATE
            """)
        return try rows.first.map { (try ShardMachine($0), try $0["queue_id", as: String?.self]) }
    }
}
