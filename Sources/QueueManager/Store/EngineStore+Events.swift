import PostgresBridge
import Workflow

/// An event of queue-events with the place it was read from.
package struct ReadEvent: Sendable {
    package var partition: Int32
    package var offset: Int64
    /// nil when the record is no event; it is counted and skipped.
    package var event: QueueEvent?

    package init(partition: Int32, offset: Int64, event: QueueEvent?) {
        self.partition = partition
        self.offset = offset
        self.event = event
    }
}

/// A partition of queue-events that this replica reads.
package struct OwnedPartition: Sendable, Hashable {
    package var partition: Int32
    package var nextOffset: Int64
}

/// What became of the events of a batch.
package struct ApplyReport: Sendable {
    package var applied = 0
    /// Repeats, and events of queues or attempts that are not known.
    package var skipped = 0
    package var queues: Set<QueueID> = []
}

/// Another replica reads this partition now.
package struct PartitionLost: Error, Sendable, Equatable {
    package var partition: Int32
}

extension EngineStore {
    /// Ownership of an event partition lasts this long without renewal (design decision 5).
    package static let partitionLeaseSeconds = 3

    /// Claims partitions that nobody owns, renews ours and returns all of ours.
    package func ownPartitions(count: Int32, owner: String) async throws -> [OwnedPartition] {
        let results = try await pool.withTransaction { transaction in
            try await transaction.execute([
                """
                INSERT INTO streamforge.event_partitions (partition)
                SELECT generate_series(0, \(Int(count) - 1)) ON CONFLICT DO NOTHING
                """,
                """
                UPDATE streamforge.event_partitions SET owner = \(owner),
                owned_until = now() + make_interval(secs => \(Self.partitionLeaseSeconds)::int)
                WHERE partition IN (
                    SELECT partition FROM streamforge.event_partitions
                    WHERE partition < \(Int(count)) AND (owner = \(owner) OR owner IS NULL OR owned_until < now())
                    ORDER BY partition FOR UPDATE SKIP LOCKED)
                RETURNING partition, next_offset
                """,
            ])
        }
        return try results[1].map {
            OwnedPartition(
                partition: Int32(try $0["partition", as: Int.self]),
                nextOffset: try $0["next_offset", as: Int64.self])
        }
    }

    /// Gives our partitions to whoever asks next, so that a clean stop costs no lease time.
    package func disownPartitions(owner: String) async throws {
        try await pool.execute(
            "UPDATE streamforge.event_partitions SET owner = NULL, owned_until = NULL WHERE owner = \(owner)")
    }

    /// Notes that the reader stands at the partition's end: leases may be judged up to now.
    package func noteCaughtUp(_ partitions: [Int32], owner: String) async throws {
        try await pool.execute(
            """
            UPDATE streamforge.event_partitions SET caught_up_at = now()
            WHERE owner = \(owner) AND partition = ANY(\(partitions.map(Int.init))::int[])
            """)
    }

    /// Applies the events of one partition and moves its offset, in one transaction.
    ///
    /// - Parameter from: the offset we believe is stored; another value means another replica took over.
    /// - Throws: ``PartitionLost``.
    package func apply(
        _ events: [ReadEvent], from: OwnedPartition, nextOffset: Int64, owner: String, policy: EventPolicy
    ) async throws -> ApplyReport {
        try await pool.withTransaction { transaction in
            let moved = try await transaction.execute(
                """
                UPDATE streamforge.event_partitions SET next_offset = \(nextOffset)
                WHERE partition = \(Int(from.partition)) AND owner = \(owner) AND next_offset = \(from.nextOffset)
                """)
            guard moved.affectedRows == 1 else { throw PartitionLost(partition: from.partition) }
            var report = ApplyReport()
            // Queue rows are locked in a fixed order, so that two replicas cannot wait for each other.
            let ordered = events.compactMap(\.event).enumerated().sorted {
                ($0.element.queueID.rawValue, $0.offset) < ($1.element.queueID.rawValue, $1.offset)
            }
            report.skipped = events.count - ordered.count
            for (_, event) in ordered {
                if try await apply(event, policy: policy, transaction) {
                    report.applied += 1
                    report.queues.insert(event.queueID)
                } else {
                    report.skipped += 1
                }
            }
            return report
        }
    }

    private func apply(
        _ event: QueueEvent, policy: EventPolicy, _ transaction: PostgresConnection
    ) async throws -> Bool {
        guard event.event == .status, let status = event.status else { return false }
        let id = InstanceID(step: event.step, instance: event.instance)
        let queueID = event.queueID.rawValue
        let locked = try await transaction.execute(
            "SELECT plan::text AS plan FROM streamforge.queues WHERE queue_id = \(queueID) FOR UPDATE")
        guard let queueRow = locked.first else { return false }
        let rows = try await transaction.execute(
            """
            SELECT \(raw: InstanceRow.columns), a.last_event_seq, a.worker_id
            FROM streamforge.instances i JOIN streamforge.attempts a USING (queue_id, step, instance)
            WHERE i.queue_id = \(queueID) AND i.step = \(id.step.rawValue) AND i.instance = \(id.instance)
            AND a.attempt = \(event.attempt)
            """)
        guard let row = rows.first else { return false }
        let owner = try row["worker_id", as: String?.self]
        // A repeat, or a second process of the same attempt, which does not count.
        guard try row["last_event_seq", as: Int64.self] < event.seq, owner ?? event.workerID == event.workerID
        else { return false }
        let plan = try MessageCodec.decode(Plan.self, fromText: try queueRow["plan", as: String.self])
        let instance = try InstanceRow(row, attemptsMax: plan.attemptsMax)
        try await transaction.execute(
            try Self.statements(for: event, status, instance: instance, policy: policy))
        return true
    }

    private static func statements(
        for event: QueueEvent, _ status: QueueEvent.Status, instance: InstanceRow, policy: EventPolicy
    ) throws -> [PostgresQuery] {
        let queueID = event.queueID.rawValue
        var machine = instance.machine
        let answer = machine.apply(policy.input(for: event, status))
        var statements: [PostgresQuery] = [
            """
            UPDATE streamforge.attempts SET last_event_seq = \(event.seq), worker_id = \(event.workerID),
            status = CASE WHEN ended_at IS NULL THEN \(status.rawValue) ELSE status END,
            lease_until = now() + \(policy.leaseMilliseconds)::bigint * interval '1 millisecond'
            WHERE queue_id = \(queueID) AND step = \(event.step.rawValue) AND instance = \(event.instance)
            AND attempt = \(event.attempt)
            """
        ]
        // Events of an older attempt are history only.
        if event.attempt == instance.machine.attempt, !instance.machine.state.isFinal {
            statements.append(try saveCounts(of: event))
        }
        var detail = try eventDetail(event)
        if answer == .ignore, event.attempt != instance.machine.attempt { detail["is_late"] = .bool(true) }
        statements.append(
            historyInsert(
                queueID, kind: "worker_\(status.rawValue)", actor: event.producer,
                id: instance.id, attempt: event.attempt, detail: detail))
        if answer != .ignore {
            statements += self.statements(
                after: answer, machine, of: instance.id, queueID: queueID, backoff: policy.backoff,
                actor: event.producer)
        }
        if status.isFinal {
            statements.append(
                """
                DELETE FROM streamforge.outbox WHERE queue_id = \(queueID) AND step = \(event.step.rawValue)
                AND instance = \(event.instance) AND attempt = \(event.attempt)
                """)
        }
        if answer != .ignore {
            statements.append(
                """
                UPDATE streamforge.queues SET look_at = now(), look_version = look_version + 1
                WHERE queue_id = \(queueID) AND NOT is_cleaned
                """)
        }
        return statements
    }

    private static func saveCounts(of event: QueueEvent) throws -> PostgresQuery {
        """
        UPDATE streamforge.instances SET records_read = \(event.recordsRead),
        records_written = \(event.recordsWritten), duplicates = \(event.duplicates),
        dead_letters = \(event.deadLetters), last_key = coalesce(\(optional: event.lastKey), last_key),
        last_seq = coalesce(\(optional: event.lastSeq), last_seq),
        extra = coalesce(\(optional: try event.extra.map { PostgresJSON(try MessageCodec.encode($0)) }), extra)
        WHERE queue_id = \(event.queueID.rawValue) AND step = \(event.step.rawValue)
        AND instance = \(event.instance)
        """
    }

    private static func eventDetail(_ event: QueueEvent) throws -> [String: JSONValue] {
        var detail: [String: JSONValue] = [
            "seq": .integer(event.seq), "worker_id": .string(event.workerID),
            "message": .string(event.message),
            "records_read": .integer(event.recordsRead), "records_written": .integer(event.recordsWritten),
            "duplicates": .integer(event.duplicates), "dead_letters": .integer(event.deadLetters),
            "timestamp": .number(event.timestamp),
        ]
        if let key = event.lastKey { detail["last_key"] = .string(key) }
        if let reason = event.reason { detail["reason"] = .string(reason) }
        if let error = event.error { detail["error"] = .string(error) }
        if let extra = event.extra { detail["extra"] = .object(extra) }
        if let traceparent = event.traceparent { detail["traceparent"] = .string(traceparent) }
        return detail
    }
}

/// How events change instances.
package struct EventPolicy: Sendable {
    package var leaseMilliseconds: Int64
    package var backoff: RetryBackoff

    package init(leaseMilliseconds: Int64, backoff: RetryBackoff) {
        self.leaseMilliseconds = leaseMilliseconds
        self.backoff = backoff
    }

    func input(for event: QueueEvent, _ status: QueueEvent.Status) -> InstanceMachine.Input {
        switch status {
        case .started, .loading: .alive(attempt: event.attempt)
        case .finished: .finished(attempt: event.attempt)
        case .interrupted: .interrupted(attempt: event.attempt)
        case .error:
            .failed(
                attempt: event.attempt,
                isRetriable: event.reason.flatMap(EndReason.init(rawValue:)) == .retriable,
                reason: event.error ?? event.message)
        }
    }
}
