import PostgresBridge
import Workflow

/// Where the next page begins: the last row of the page before.
package struct QueueCursor: Sendable, Hashable {
    package var createdAtMicroseconds: Int64
    package var queueID: String

    package init(createdAtMicroseconds: Int64, queueID: String) {
        self.createdAtMicroseconds = createdAtMicroseconds
        self.queueID = queueID
    }

    /// `<microseconds>.<queue id>`.
    package init?(_ text: String) {
        let parts = text.split(separator: ".", maxSplits: 1)
        guard parts.count == 2, let time = Int64(parts[0]), QueueID(String(parts[1])) != nil else {
            return nil
        }
        self.init(createdAtMicroseconds: time, queueID: String(parts[1]))
    }

    package var text: String { "\(createdAtMicroseconds).\(queueID)" }
}

/// One event of a queue's history.
package struct HistoryEvent: Sendable, Hashable {
    package var number: Int64
    package var at: String
    package var kind: String
    package var actor: String
    package var step: String?
    package var instance: String?
    package var attempt: Int?
    package var detail: JSONValue
}

extension EngineStore {
    package static let pageMax = 200

    /// Newest first, by keyset: as quick on the last page as on the first.
    package func queues(
        status: QueueStatus?, symbol: String?, after cursor: QueueCursor?, limit: Int
    ) async throws -> (rows: [QueueRow], next: QueueCursor?) {
        let rows = try await pool.execute(
            """
            SELECT \(raw: QueueRow.columns), (extract(epoch FROM created_at) * 1000000)::bigint AS created_us
            FROM streamforge.queues
            WHERE (\(optional: status?.rawValue)::text IS NULL OR status = \(optional: status?.rawValue)::text)
            AND (\(optional: symbol)::text IS NULL OR plan->'symbols' ? \(optional: symbol)::text)
            AND (\(optional: cursor?.createdAtMicroseconds)::bigint IS NULL OR (created_at, queue_id) <
                (to_timestamp(0) + \(optional: cursor?.createdAtMicroseconds)::bigint
                * interval '1 microsecond', \(optional: cursor?.queueID)::text))
            ORDER BY created_at DESC, queue_id DESC LIMIT \(limit + 1)
            """)
        var page = try rows.prefix(limit).map { try QueueRow($0) }
        guard rows.count > limit, let last = rows.prefix(limit).last else { return (page, nil) }
        page = Array(page.prefix(limit))
        return (
            page,
            QueueCursor(
                createdAtMicroseconds: try last["created_us", as: Int64.self],
                queueID: try last["queue_id", as: String.self])
        )
    }

    /// nil when there is no such queue.
    package func queue(_ id: QueueID) async throws -> (queue: QueueRow, instances: [InstanceRow])? {
        try await pool.withTransaction(.init(isolation: .repeatableRead, isReadOnly: true)) { transaction in
            try await Self.queue(id, transaction)
        }
    }

    static func queue(
        _ id: QueueID, _ connection: PostgresConnection
    ) async throws -> (queue: QueueRow, instances: [InstanceRow])? {
        let results = try await connection.execute([
            "SELECT \(raw: QueueRow.columns) FROM streamforge.queues WHERE queue_id = \(id.rawValue)",
            """
            SELECT \(raw: InstanceRow.columns) FROM streamforge.instances i
            WHERE i.queue_id = \(id.rawValue) ORDER BY i.position
            """,
        ])
        guard let row = results[0].first else { return nil }
        let queue = try QueueRow(row)
        return (queue, try results[1].map { try InstanceRow($0, attemptsMax: queue.plan.attemptsMax) })
    }

    /// The history of a queue from `after` (exclusive) on, oldest first; nil when there is no such queue.
    package func events(
        of id: QueueID, after number: Int64, limit: Int
    ) async throws -> (events: [HistoryEvent], isFinal: Bool)? {
        let results = try await pool.withTransaction(.init(isolation: .repeatableRead, isReadOnly: true)) {
            try await $0.execute([
                "SELECT status FROM streamforge.queues WHERE queue_id = \(id.rawValue)",
                """
                SELECT number, \(raw: timeText("at")), kind, actor, step, instance, attempt,
                detail::text AS detail FROM streamforge.events
                WHERE queue_id = \(id.rawValue) AND number > \(number) ORDER BY number LIMIT \(limit)
                """,
            ])
        }
        guard let row = results[0].first else { return nil }
        return (try results[1].map(HistoryEvent.init), try row.word("status", as: QueueStatus.self).isFinal)
    }
}

extension HistoryEvent {
    init(_ row: PostgresRow) throws {
        number = try row["number", as: Int64.self]
        at = try row["at", as: String.self]
        kind = try row["kind", as: String.self]
        actor = try row["actor", as: String.self]
        step = try row["step", as: String?.self]
        instance = try row["instance", as: String?.self]
        attempt = try row["attempt", as: Int?.self]
        detail = try MessageCodec.decode(JSONValue.self, fromText: try row["detail", as: String.self])
    }
}

extension Plan {
    func attemptsMax(_ id: StepID) -> Int { step(id)?.attemptsMax ?? PlannedStep.attemptsDefault }
}
