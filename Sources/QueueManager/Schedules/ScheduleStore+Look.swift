import PostgresBridge
import Workflow

/// What a look at a schedule leaves to do outside of the database.
package struct ScheduleLook: Sendable {
    package var name: ObjectName
    package var decisions: [SchedulePlan.Decision]
    /// Queues to be created now, oldest first.
    package var starting: [StartingFiring]
    /// Queues to be told to stop.
    package var stopping: [QueueID]
    /// When to look again, Unix milliseconds; nil only when somebody asks.
    package var lookAt: Int64?
}

extension ScheduleStore {
    /// Queues created in one look; the next look, at once, creates more.
    package static let startsMax = 10
    /// Between looks while a queue of the schedule runs: it ends without telling us.
    static let openPollMilliseconds: Int64 = 1_000

    /// Decides what is due and writes all of it down in one transaction: each fire time up to which the
    /// schedule is decided has its firing, so that a crash at any line loses and doubles nothing.
    ///
    /// - Throws: ``ClaimLost``.
    package func look(at claim: RowClaim) async throws -> ScheduleLook {
        try await pool.withTransaction { transaction in
            try await claims.prove(claim, transaction)
            try await endFirings(of: claim.key, transaction)
            let results = try await transaction.execute([
                """
                SELECT \(raw: ScheduleRow.columns(clock)) FROM streamforge.schedules WHERE name = \(claim.key)
                """,
                """
                SELECT number, state, queue_id FROM streamforge.firings WHERE schedule = \(claim.key)
                AND state IN ('waiting', 'starting', 'started') ORDER BY number
                """,
            ])
            guard let row = results[0].first else { throw ClaimLost() }
            let schedule = try ScheduleRow(row)
            let open = try OpenRows(results[1])
            let plan = SchedulePlanner.plan(
                ScheduleSnapshot(
                    name: schedule.name, spec: schedule.spec, isPaused: schedule.isPaused,
                    decidedUpTo: schedule.decidedUpTo, firedCount: schedule.firedCount, waiting: open.waiting,
                    startingCount: open.startingCount, runningCount: open.running.count, now: schedule.now))
            try await write(plan, schedule, transaction)
            return try await rest(plan, schedule, open, transaction)
        }
    }

    private struct OpenRows {
        var waiting: [Int64] = []
        var startingCount = 0
        var running: [QueueID] = []

        init(_ rows: PostgresResult) throws {
            for row in rows {
                switch try row.word("state", as: FiringState.self) {
                case .waiting: waiting.append(try row["number", as: Int64.self])
                case .starting: startingCount += 1
                case .started: running.append(try row.queueID("queue_id"))
                case .ended, .failed, .skipped, .missed: break
                }
            }
        }
    }

    /// A queue that is gone has been final before.
    private func endFirings(of name: String, _ transaction: PostgresConnection) async throws {
        let open = QueueStatus.allCases.filter { !$0.isFinal }.map(\.rawValue)
        try await transaction.execute(
            """
            UPDATE streamforge.firings f SET state = 'ended', changed_at = now(), queue_status =
                (SELECT q.status FROM streamforge.queues q WHERE q.queue_id = f.queue_id)
            WHERE f.schedule = \(name) AND f.state = 'started' AND NOT EXISTS (
                SELECT 1 FROM streamforge.queues q
                WHERE q.queue_id = f.queue_id AND q.status = ANY(\(open)::text[]))
            """)
    }

    private func write(
        _ plan: SchedulePlan, _ schedule: ScheduleRow, _ transaction: PostgresConnection
    ) async throws {
        var statements = try plan.decisions.compactMap { try statement(for: $0, schedule) }
        guard !statements.isEmpty || plan.decidedUpTo != schedule.decidedUpTo else { return }
        statements += [
            """
            UPDATE streamforge.schedules SET decided_up_to = \(plan.decidedUpTo),
            fired_count = \(plan.firedCount) WHERE name = \(schedule.name.rawValue)
            """,
            """
            DELETE FROM streamforge.firings WHERE schedule = \(schedule.name.rawValue)
            AND state IN ('ended', 'failed', 'skipped', 'missed') AND number < (
                SELECT number FROM streamforge.firings WHERE schedule = \(schedule.name.rawValue)
                ORDER BY number DESC OFFSET \(Self.firingsKept - 1) LIMIT 1)
            """,
        ]
        try await transaction.execute(statements)
    }

    private func statement(
        for decision: SchedulePlan.Decision, _ schedule: ScheduleRow
    ) throws -> PostgresQuery? {
        switch decision {
        case .missed(let first, let last, let count, let reason):
            return """
                INSERT INTO streamforge.firings
                (schedule, generation, fire_time, state, reason, missed_count, first_missed)
                VALUES (\(schedule.name.rawValue), \(schedule.generation), \(last), 'missed', \(reason),
                \(count), \(first))
                """
        case .start(let time): return try insert(.starting, time, nil, schedule)
        case .wait(let time): return try insert(.waiting, time, nil, schedule)
        case .skip(let time, let reason): return try insert(.skipped, time, reason, schedule)
        case .release(let number):
            return """
                UPDATE streamforge.firings SET state = 'starting', changed_at = now(),
                try_until_at = \(schedule.now + Int64(schedule.spec.catchUpSeconds) * 1_000)
                WHERE number = \(number) AND state = 'waiting'
                """
        case .drop(let number, let reason):
            return """
                UPDATE streamforge.firings SET state = 'skipped', reason = \(reason), body = NULL,
                changed_at = now() WHERE number = \(number) AND state = 'waiting'
                """
        case .stopRunning: return nil
        }
    }

    private func insert(
        _ state: FiringState, _ fireTime: Int64, _ reason: String?, _ schedule: ScheduleRow
    ) throws -> PostgresQuery {
        var (state, reason) = (state, reason)
        var body: PostgresJSON?
        if !state.isFinal {
            do {
                let filled = try schedule.spec.body(of: schedule.name, firedFor: fireTime)
                body = PostgresJSON(try MessageCodec.encode(filled))
            } catch let error as RequestError {
                // It was checked when the schedule was made, but for another time.
                (state, reason) = (.failed, StartRetry.reason("\(error)"))
            }
        }
        return """
            INSERT INTO streamforge.firings
            (schedule, generation, fire_time, state, reason, body, try_until_at)
            VALUES (\(schedule.name.rawValue), \(schedule.generation), \(fireTime), \(state.rawValue),
            \(optional: reason), \(optional: body),
            \(schedule.now + Int64(schedule.spec.catchUpSeconds) * 1_000))
            """
    }

    private func rest(
        _ plan: SchedulePlan, _ schedule: ScheduleRow, _ open: OpenRows, _ transaction: PostgresConnection
    ) async throws -> ScheduleLook {
        let rows = try await transaction.execute(
            """
            SELECT number, generation, fire_time, is_manual, body::text AS body, tries, try_at
            FROM streamforge.firings WHERE schedule = \(schedule.name.rawValue) AND state = 'starting'
            ORDER BY number LIMIT 200
            """)
        var look = ScheduleLook(
            name: schedule.name, decisions: plan.decisions, starting: [],
            stopping: plan.decisions.contains(.stopRunning) ? open.running : [], lookAt: plan.nextDue)
        var soonest = plan.nextDue
        for row in rows {
            let tryAt = try row["try_at", as: Int64.self]
            soonest = min(soonest ?? .max, tryAt)
            guard tryAt <= schedule.now, look.starting.count < Self.startsMax else { continue }
            look.starting.append(try Self.starting(row, schedule.name))
        }
        // Somebody waits for an end, or wants to see the outcome.
        let hasOpen = !open.running.isEmpty || !open.waiting.isEmpty || !look.starting.isEmpty
        if hasOpen { soonest = min(soonest ?? .max, schedule.now + Self.openPollMilliseconds) }
        look.lookAt = soonest
        return look
    }

    private static func starting(_ row: PostgresRow, _ name: ObjectName) throws -> StartingFiring {
        StartingFiring(
            number: try row["number", as: Int64.self], schedule: name,
            generation: try row["generation", as: Int64.self],
            fireTime: try row["fire_time", as: Int64.self],
            isManual: try row["is_manual", as: Bool.self],
            body: try StoredJSON.decode(try row["body", as: String.self]),
            tries: try row["tries", as: Int.self])
    }
}
