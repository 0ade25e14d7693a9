import PostgresBridge
import Synchronization
import Workflow

/// Plans and their texts, decoded and encoded before: many queues share one, and a queue's never changes.
final class PlanCache: Sendable {
    private static let plansMax = 256
    private let plans = Mutex<[String: Plan]>([:])
    private let counts = Mutex<[Plan: Int]>([:])
    private let texts = Mutex<[Plan: String]>([:])

    /// How many instances a queue of this plan has.
    func instanceCount(of plan: Plan) -> Int {
        if let known = counts.withLock({ $0[plan] }) { return known }
        let count = plan.instances.count
        counts.withLock { counts in
            if counts.count >= Self.plansMax { counts.removeAll() }
            counts[plan] = count
        }
        return count
    }

    /// A plan as it is stored.
    func text(of plan: Plan) throws -> String {
        if let known = texts.withLock({ $0[plan] }) { return known }
        let text = try MessageCodec.encodeText(plan)
        texts.withLock { texts in
            if texts.count >= Self.plansMax { texts.removeAll() }
            texts[plan] = text
        }
        return text
    }

    func plan(_ text: String) throws(MessageError) -> Plan {
        if let known = plans.withLock({ $0[text] }) { return known }
        let plan = try MessageCodec.decode(Plan.self, fromText: text)
        plans.withLock { plans in
            if plans.count >= Self.plansMax { plans.removeAll() }
            plans[text] = plan
        }
        return plan
    }
}

/// Handles of jobs, decoded before: each look at a queue reads those of all its open attempts.
final class JobHandles: Sendable {
    static let shared = JobHandles()
    private static let handlesMax = 4_096
    private let handles = Mutex<[String: JobHandle]>([:])

    func handle(_ text: String) throws(MessageError) -> JobHandle {
        if let known = handles.withLock({ $0[text] }) { return known }
        let handle = try MessageCodec.decode(JobHandle.self, fromText: text)
        handles.withLock { handles in
            if handles.count >= Self.handlesMax { handles.removeAll() }
            handles[text] = handle
        }
        return handle
    }
}

/// Milliseconds of a timestamp column, null stays null.
func milliseconds(_ column: String, as name: String? = nil) -> String {
    "(extract(epoch FROM \(column)) * 1000)::bigint AS \(name ?? column)"
}

extension QueueState {
    static let columns = "\(columnsBesidePlan), plan::text AS plan"
    private static let columnsBesidePlan = """
        queue_id, status, run, reason, as_of, traceparent, \(milliseconds("started_at")), \
        \(milliseconds("finished_at")), \(milliseconds("paused_at")), paused_ms, is_terminated, is_cleaned, \
        event_number, command_seq, claim_token
        """

    /// Keeps others from changing the queue. Rows that refer to it, such as saved logs, can be written meanwhile: the
    /// lock of `FOR UPDATE` would wait for their transactions, and they for it.
    static let lock = "FOR NO KEY UPDATE"

    /// Reads and locks queues, in a fixed order, so that two transactions cannot wait for each other.
    ///
    /// - Parameter known: of these the plans are not read, which never change: those of large queues are long.
    static func selectLocked(
        _ ids: some Collection<QueueID>, known: [QueueID: InstanceCache.Entry]
    ) -> PostgresQuery {
        """
        SELECT \(raw: columnsBesidePlan),
        CASE WHEN (queue_id, as_of) IN (SELECT * FROM unnest(\(known.keys.map(\.rawValue))::text[],
            \(known.values.map(\.asOf))::bigint[])) THEN NULL ELSE plan::text END AS plan
        FROM streamforge.queues WHERE queue_id = ANY(\(ids.map(\.rawValue))::text[]) ORDER BY queue_id
        \(raw: lock)
        """
    }

    /// - Parameter known: has the plan where the row has none.
    init(_ row: PostgresRow, _ plans: PlanCache, known: [QueueID: InstanceCache.Entry] = [:]) throws {
        let id = try row.queueID("queue_id")
        let plan: Plan
        if let entry = known[id], try row["plan", as: String?.self] == nil {
            plan = entry.plan
        } else {
            plan = try plans.plan(try row["plan", as: String.self])
        }
        self.init(
            queueID: id, plan: plan, asOf: try row["as_of", as: Int64.self],
            traceparent: try row["traceparent", as: String?.self],
            status: try row.word("status", as: QueueStatus.self))
        run = try row["run", as: Int.self]
        reason = try row["reason", as: String?.self]
        startedAt = try row["started_at", as: Int64?.self]
        finishedAt = try row["finished_at", as: Int64?.self]
        pausedAt = try row["paused_at", as: Int64?.self]
        pausedMilliseconds = try row["paused_ms", as: Int64.self]
        isTerminated = try row["is_terminated", as: Bool.self]
        isCleaned = try row["is_cleaned", as: Bool.self]
        eventNumber = try row["event_number", as: Int64.self]
        commandSeq = try row["command_seq", as: Int64.self]
    }

    mutating func addInstance(_ row: PostgresRow) throws {
        let step = try row.stepID("step")
        let id = InstanceID(step: step, instance: try row["instance", as: String.self])
        var instance = InstanceState(
            machine: InstanceMachine(
                state: try row.word("status", as: InstanceMachine.State.self),
                attempt: try row["attempt", as: Int.self],
                attemptsBefore: try row["attempts_before", as: Int.self],
                failures: try row["failures", as: Int.self],
                isWanted: try row["is_wanted", as: Bool.self], reason: try row["reason", as: String?.self],
                attemptsMax: plan.attemptsMax(step)))
        instance.counts = InstanceCounts(
            recordsRead: try row["records_read", as: Int64.self],
            recordsWritten: try row["records_written", as: Int64.self],
            duplicates: try row["duplicates", as: Int64.self],
            deadLetters: try row["dead_letters", as: Int64.self],
            lastKey: try row["last_key", as: String?.self], lastSeq: try row["last_seq", as: Int64?.self])
        instance.notBefore = try row["not_before", as: Int64.self]
        if let text = try row["extra", as: String?.self],
            case .object(let extra) = try MessageCodec.decode(JSONValue.self, fromText: text)
        {
            instance.extra = extra
        }
        instance.startedAt = try row["started_at", as: Int64?.self]
        instance.finishedAt = try row["finished_at", as: Int64?.self]
        instance.pausedBefore = try row["paused_ms_before", as: Int64.self]
        instances[id] = instance
        instancesVersion = max(instancesVersion, try row["version", as: Int64.self])
    }

    mutating func addAttempt(_ row: PostgresRow) throws {
        let id = AttemptID(
            InstanceID(step: try row.stepID("step"), instance: try row["instance", as: String.self]),
            try row["attempt", as: Int.self])
        var attempt = AttemptState(
            id: id, launchToken: try row["launch_token", as: String.self],
            control: ControlPosition(
                partition: try row["control_partition", as: Int32.self],
                offset: try row["control_offset", as: Int64.self]),
            leaseUntil: try row["lease_until", as: Int64.self],
            leaseBlind: try row["lease_blind_ms", as: Int64.self])
        attempt.handle = try row["handle", as: String?.self].map { try JobHandles.shared.handle($0) }
        attempt.workerID = try row["worker_id", as: String?.self]
        attempt.lastEventSeq = try row["last_event_seq", as: Int64.self]
        attempt.status = try row["status", as: String.self]
        attempt.reason = try row["reason", as: String?.self]
        attempt.goneOffset = try row["gone_offset", as: Int64?.self]
        attempt.howEnded = try row["how_ended", as: String?.self]
        attempt.stopRequestedAt = try row["stop_requested_at", as: Int64?.self]
        attempt.isStopSent = try row["is_stop_sent", as: Bool.self]
        attempt.endedAt = try row["ended_at", as: Int64?.self]
        attempt.isGone = try row["is_gone", as: Bool.self]
        attempts[id] = attempt
    }
}

extension InstanceState {
    static let columns = """
        i.queue_id, i.step, i.instance, i.status, i.attempt, i.attempts_before, i.failures, i.is_wanted, i.reason, \
        \(milliseconds("i.not_before", as: "not_before")), i.records_read, i.records_written, i.duplicates, \
        i.dead_letters, i.last_key, i.last_seq, i.extra::text AS extra, i.version, \
        \(milliseconds("i.started_at", as: "started_at")), \
        \(milliseconds("i.finished_at", as: "finished_at")), i.paused_ms_before
        """
}

extension AttemptState {
    static let columns = """
        a.queue_id, a.step, a.instance, a.attempt, a.launch_token, a.control_partition, a.control_offset, \
        a.handle::text AS handle, a.worker_id, a.last_event_seq, a.status, a.reason, \
        \(milliseconds("a.lease_until", as: "lease_until")), a.lease_blind_ms, a.gone_offset, a.how_ended, \
        \(milliseconds("a.stop_requested_at", as: "stop_requested_at")), \
        a.is_stop_sent, \(milliseconds("a.ended_at", as: "ended_at")), a.is_gone
        """
}

/// The event partitions and the clock, as read in one transaction.
struct PartitionFacts {
    var now: Int64
    private var rows: [Int32: (applied: Int64, caughtUp: Int64?, blind: Int64)] = [:]

    static let query: PostgresQuery = """
        SELECT partition, next_offset, \(raw: milliseconds("caught_up_at")), blind_ms,
        \(raw: milliseconds("clock_timestamp()", as: "now"))
        FROM streamforge.event_partitions RIGHT JOIN (SELECT 1) AS one ON true
        """

    init(_ result: PostgresResult) throws {
        now = try result.first.map { try $0["now", as: Int64.self] } ?? 0
        for row in result {
            // Before the first reader there are none.
            guard let partition = try row["partition", as: Int32?.self] else { continue }
            rows[partition] = (
                try row["next_offset", as: Int64.self], try row["caught_up_at", as: Int64?.self],
                try row["blind_ms", as: Int64.self]
            )
        }
    }

    func look(_ partition: Int32) -> LookFacts {
        let row = rows[partition]
        return LookFacts(
            now: now, appliedOffset: row?.applied ?? 0, caughtUpAt: row?.caughtUp ?? nil,
            blindMilliseconds: row?.blind ?? 0)
    }

    func event(_ partition: Int32) -> EventFacts {
        EventFacts(now: now, blindMilliseconds: rows[partition]?.blind ?? 0)
    }
}
