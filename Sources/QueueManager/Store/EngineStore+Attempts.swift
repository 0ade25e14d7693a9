import PostgresBridge
import Workflow

extension EngineStore {
    /// Creates the next attempt of each instance, before anything is started outside.
    ///
    /// - Parameters:
    ///   - control: where the attempts begin to read queue-control: its end, read just before.
    ///   - leaseMilliseconds: until the first heartbeat must have been applied.
    package func createAttempts(
        of ids: [InstanceRow], control: (partition: Int32, offset: Int64), leaseMilliseconds: Int64,
        claim: QueueClaim
    ) async throws {
        try await withClaim(claim) { transaction in
            let queueID = claim.queueID.rawValue
            var statements: [PostgresQuery] = []
            for row in ids {
                var machine = row.machine
                guard machine.apply(.launch) == .changed else { continue }
                statements.append(Self.save(machine, of: row.id, queueID: queueID, notBefore: nil))
                if machine.attempt == 1 {
                    statements.append(
                        """
                        UPDATE streamforge.instances SET paused_ms_before =
                        (SELECT paused_ms FROM streamforge.queues WHERE queue_id = \(queueID))
                        WHERE queue_id = \(queueID) AND step = \(row.id.step.rawValue)
                        AND instance = \(row.id.instance)
                        """)
                }
                statements.append(
                    """
                    INSERT INTO streamforge.attempts (queue_id, step, instance, attempt, control_partition,
                    control_offset, lease_until)
                    VALUES (\(queueID), \(row.id.step.rawValue), \(row.id.instance), \(machine.attempt),
                    \(Int(control.partition)), \(control.offset),
                    now() + \(leaseMilliseconds)::bigint * interval '1 millisecond')
                    """)
                statements.append(
                    Self.historyInsert(
                        queueID, kind: "attempt_created", actor: "engine", id: row.id,
                        attempt: machine.attempt))
            }
            try await transaction.execute(statements)
        }
    }

    package func saveHandle(_ handle: JobHandle, of id: InstanceID, attempt: Int, claim: QueueClaim)
        async throws
    {
        let detail = handle.fields.mapValues { JSONValue.string($0) }
        try await withClaim(claim) { transaction in
            try await transaction.execute([
                """
                UPDATE streamforge.attempts SET handle = \(PostgresJSON(try MessageCodec.encode(handle)))
                WHERE queue_id = \(claim.queueID.rawValue) AND step = \(id.step.rawValue)
                AND instance = \(id.instance) AND attempt = \(attempt)
                """,
                Self.historyInsert(
                    claim.queueID.rawValue, kind: "attempt_launched", actor: "engine", id: id,
                    attempt: attempt,
                    detail: detail),
            ])
        }
    }

    /// The attempt's job is gone; it is lost once the event reader has passed `offset`.
    package func saveGone(
        offset: Int64, how: String?, of id: InstanceID, attempt: Int, claim: QueueClaim
    ) async throws {
        try await withClaim(claim) { transaction in
            try await transaction.execute(
                """
                UPDATE streamforge.attempts SET gone_offset = \(offset), reason = \(optional: how)
                WHERE queue_id = \(claim.queueID.rawValue) AND step = \(id.step.rawValue)
                AND instance = \(id.instance) AND attempt = \(attempt) AND gone_offset IS NULL
                """)
        }
    }

    /// Applies an input of the engine's own (lost, failed launch, cancel, skip) to an instance.
    ///
    /// Reads the machine again under the queue's row lock: an event may have been applied since the look.
    /// - Parameter command: sent to the live attempt, if there is one.
    package func apply(
        _ input: InstanceMachine.Input, to id: InstanceID, stopReason: String?, backoff: RetryBackoff,
        claim: QueueClaim
    ) async throws {
        try await withClaim(claim) { transaction in
            guard let (queue, instances) = try await Self.queue(claim.queueID, transaction),
                let row = instances.first(where: { $0.id == id })
            else { return }
            var machine = row.machine
            let hadLiveAttempt = machine.state.hasLiveAttempt
            let answer = machine.apply(input)
            guard answer != .ignore else { return }
            var statements = Self.statements(
                after: answer, machine, of: id, queueID: queue.queueID.rawValue, backoff: backoff,
                actor: "engine")
            if hadLiveAttempt, let stopReason {
                statements += try Self.stopCommand(
                    queue.queueID, id, attempt: machine.attempt, reason: stopReason)
            }
            try await transaction.execute(statements)
        }
    }

    /// What a machine's answer means for the tables.
    static func statements(
        after answer: InstanceMachine.Answer, _ machine: InstanceMachine, of id: InstanceID, queueID: String,
        backoff: RetryBackoff, actor: String
    ) -> [PostgresQuery] {
        var statements: [PostgresQuery] = []
        var hold: Int64?
        if case .retry(let failures) = answer {
            hold = backoff.milliseconds(afterFailures: failures, jitter: Double.random(in: 0...1))
        }
        statements.append(save(machine, of: id, queueID: queueID, notBefore: hold))
        if !machine.state.hasLiveAttempt, machine.attempt > 0 {
            statements.append(
                """
                UPDATE streamforge.attempts SET ended_at = now(),
                status = \(machine.state == .waiting ? "ended" : machine.state.rawValue),
                reason = \(optional: machine.reason)
                WHERE queue_id = \(queueID) AND step = \(id.step.rawValue) AND instance = \(id.instance)
                AND attempt = \(machine.attempt) AND ended_at IS NULL
                """)
        }
        if machine.state.isFinal || machine.state == .waiting {
            var detail: [String: JSONValue] = ["failures": .integer(Int64(machine.failures))]
            if let reason = machine.reason { detail["reason"] = .string(reason) }
            if let hold { detail["next_attempt_in_ms"] = .integer(hold) }
            statements.append(
                historyInsert(
                    queueID, kind: "instance_\(machine.state.rawValue)", actor: actor, id: id,
                    attempt: machine.attempt, detail: detail))
        }
        return statements
    }

    static func save(
        _ machine: InstanceMachine, of id: InstanceID, queueID: String, notBefore milliseconds: Int64?
    ) -> PostgresQuery {
        """
        UPDATE streamforge.instances SET status = \(machine.state.rawValue), attempt = \(machine.attempt),
        failures = \(machine.failures), is_wanted = \(machine.isWanted), reason = \(optional: machine.reason),
        not_before = now() + coalesce(\(optional: milliseconds)::bigint, 0) * interval '1 millisecond',
        started_at = CASE WHEN \(machine.attempt > 0) THEN coalesce(started_at, now()) ELSE started_at END,
        finished_at = CASE WHEN \(machine.state.isFinal) THEN now() END
        WHERE queue_id = \(queueID) AND step = \(id.step.rawValue) AND instance = \(id.instance)
        """
    }

    /// A stop for one attempt: into the outbox, to be sent until the attempt has ended.
    static func stopCommand(
        _ queueID: QueueID, _ id: InstanceID, attempt: Int, reason: String
    ) throws -> [PostgresQuery] {
        let command = ControlCommand(
            command: .stop, queueID: queueID, step: id.step, instance: id.instance, attempt: attempt,
            commandID: "", commandSeq: 0, reason: reason, timestamp: 0)
        return [
            """
            WITH numbered AS (
                UPDATE streamforge.queues SET command_seq = command_seq + 1
                WHERE queue_id = \(queueID.rawValue) RETURNING command_seq)
            INSERT INTO streamforge.outbox (queue_id, command_seq, step, instance, attempt, payload)
            SELECT \(queueID.rawValue), command_seq, \(id.step.rawValue), \(id.instance), \(attempt),
            \(PostgresJSON(try MessageCodec.encode(command))) FROM numbered
            """,
            """
            UPDATE streamforge.attempts SET stop_requested_at = coalesce(stop_requested_at, now())
            WHERE queue_id = \(queueID.rawValue) AND step = \(id.step.rawValue) AND instance = \(id.instance)
            AND attempt = \(attempt)
            """,
        ]
    }
}

extension EngineStore {
    /// Ends an attempt of a final queue that nobody else ended.
    package func closeAttempt(_ id: InstanceID, attempt: Int, claim: QueueClaim) async throws {
        try await withClaim(claim) { transaction in
            try await transaction.execute(
                """
                UPDATE streamforge.attempts SET ended_at = now()
                WHERE queue_id = \(claim.queueID.rawValue) AND step = \(id.step.rawValue)
                AND instance = \(id.instance) AND attempt = \(attempt) AND ended_at IS NULL
                """)
        }
    }

    package func millisecondsSinceEnd(of id: QueueID) async throws -> Int64 {
        let rows = try await pool.execute(
            """
            SELECT (extract(epoch FROM now() - coalesce(finished_at, now())) * 1000)::bigint AS age
            FROM streamforge.queues WHERE queue_id = \(id.rawValue)
            """)
        return try rows.first.map { try $0["age", as: Int64.self] } ?? 0
    }
}
