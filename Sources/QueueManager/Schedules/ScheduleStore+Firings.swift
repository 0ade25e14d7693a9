import PostgresBridge
import Workflow

/// One firing of a schedule as it is stored.
package struct FiringRow: Sendable {
    package var number: Int64
    /// Unix seconds.
    package var fireTime: Int64
    package var isManual: Bool
    package var state: FiringState
    package var reason: String?
    /// Fire times that a missed firing stands for, and the first of them.
    package var missedCount: Int
    package var firstMissed: Int64?
    package var queueID: QueueID?
    package var queueStatus: String?
    package var tries: Int
    package var changedAt: String

    static let columns = """
        number, fire_time, is_manual, state, reason, missed_count, first_missed, queue_id, queue_status, \
        tries, \(timeText("changed_at"))
        """

    init(_ row: PostgresRow) throws {
        number = try row["number", as: Int64.self]
        fireTime = try row["fire_time", as: Int64.self]
        isManual = try row["is_manual", as: Bool.self]
        state = try row.word("state", as: FiringState.self)
        reason = try row["reason", as: String?.self]
        missedCount = try row["missed_count", as: Int.self]
        firstMissed = try row["first_missed", as: Int64?.self]
        queueID = try row["queue_id", as: String?.self].flatMap { QueueID($0) }
        queueStatus = try row["queue_status", as: String?.self]
        tries = try row["tries", as: Int.self]
        changedAt = try row["changed_at", as: String.self]
    }
}

/// A firing whose queue is to be created now.
package struct StartingFiring: Sendable {
    package var number: Int64
    package var schedule: ObjectName
    package var generation: Int64
    package var fireTime: Int64
    package var isManual: Bool
    package var body: JSONValue
    package var tries: Int

    /// The same for every try of this firing, and for no other firing.
    package var idempotencyKey: String {
        "schedule/\(schedule)/\(generation)/" + (isManual ? "manual-\(number)" : "\(fireTime)")
    }
}

extension ScheduleStore {
    /// Firings a schedule keeps; older ones are deleted when they are final.
    package static let firingsKept = 200

    /// The firings of a schedule, newest first; `before` is the last number of the page before.
    package func firings(of name: ObjectName, before: Int64?, limit: Int) async throws -> [FiringRow] {
        try await pool.execute(
            """
            SELECT \(raw: FiringRow.columns) FROM streamforge.firings
            WHERE schedule = \(name.rawValue) AND number < \(before ?? .max)
            ORDER BY number DESC LIMIT \(limit)
            """
        ).map(FiringRow.init)
    }

    /// Starts the schedule's request now, whatever runs and also while it is paused.
    ///
    /// - Parameter key: a repeat with the same key gives the same firing.
    /// - Returns: nil when there is no such schedule.
    package func trigger(_ name: ObjectName, key: String?) async throws -> FiringRow? {
        try await pool.withTransaction { transaction in
            let rows = try await transaction.execute(
                """
                UPDATE streamforge.schedules SET look_at = 0, look_version = look_version + 1
                WHERE name = \(name.rawValue) RETURNING \(raw: ScheduleRow.columns(clock))
                """)
            guard let schedule = try rows.first.map(ScheduleRow.init) else { return nil }
            if let key {
                let known = try await transaction.execute(
                    """
                    SELECT \(raw: FiringRow.columns) FROM streamforge.firings
                    WHERE schedule = \(name.rawValue) AND trigger_key = \(key)
                    """)
                if let row = known.first { return try FiringRow(row) }
            }
            let fireTime = schedule.now / 1_000
            let body = try schedule.spec.body(of: name, firedFor: fireTime)
            let until = schedule.now + Int64(schedule.spec.catchUpSeconds) * 1_000
            return try await transaction.execute(
                """
                INSERT INTO streamforge.firings
                (schedule, generation, fire_time, is_manual, trigger_key, state, body, try_until_at)
                VALUES (\(name.rawValue), \(schedule.generation), \(fireTime), true, \(optional: key),
                'starting', \(PostgresJSON(try MessageCodec.encode(body))), \(until))
                RETURNING \(raw: FiringRow.columns)
                """
            ).first.map(FiringRow.init)
        }
    }

    /// Writes down that the firing's queue was created. A repeat changes nothing.
    ///
    /// It needs no claim: the key gives every replica the same queue.
    func recordStarted(_ firing: StartingFiring, _ queueID: QueueID) async throws {
        try await pool.execute(
            """
            UPDATE streamforge.firings SET state = 'started', queue_id = \(queueID.rawValue), body = NULL,
            reason = NULL, changed_at = now() WHERE number = \(firing.number) AND state = 'starting'
            """)
    }

    func recordRefused(_ firing: StartingFiring, reason: String) async throws {
        try await pool.execute(
            """
            UPDATE streamforge.firings SET state = 'failed', body = NULL,
            reason = \(StartRetry.reason(reason)), changed_at = now()
            WHERE number = \(firing.number) AND state = 'starting'
            """)
    }

    /// Another try later.
    ///
    /// - Parameter mayGiveUp: the firing has failed when its time is over.
    /// - Returns: whether it was given up.
    func recordRetry(_ firing: StartingFiring, reason: String, mayGiveUp: Bool) async throws -> Bool {
        let pause = StartRetry.pause(afterFailures: firing.tries + 1)
        let rows = try await pool.execute(
            """
            UPDATE streamforge.firings SET tries = tries + 1, try_at = \(raw: clock.sql()) + \(pause),
            reason = \(StartRetry.reason(reason)), changed_at = now(),
            state = CASE WHEN \(mayGiveUp) AND try_until_at <= \(raw: clock.sql()) THEN 'failed'
                ELSE state END
            WHERE number = \(firing.number) AND state = 'starting' RETURNING state
            """)
        return try rows.first.map { try $0["state", as: String.self] == "failed" } ?? false
    }
}
