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

/// Which queues a list shows; nil: any.
package struct QueueFilter: Sendable, Hashable {
    package var status: QueueStatus?
    package var symbol: String?

    package init(status: QueueStatus? = nil, symbol: String? = nil) {
        self.status = status
        self.symbol = symbol
    }
}

extension EngineStore {
    package static let pageMax = 200

    /// Newest first, by keyset: as quick on the last page as on the first.
    package func queues(
        status: QueueStatus?, symbol: String?, after cursor: QueueCursor?, limit: Int
    ) async throws -> (rows: [QueueRow], next: QueueCursor?) {
        let filter = QueueFilter(status: status, symbol: symbol)
        let rows = try await pool.execute(Self.list(filter, after: cursor, limit: limit))
        let page = rows.prefix(limit)
        let queues = try page.map { try QueueRow($0, plans) }
        guard rows.count > limit, let last = page.last else { return (queues, nil) }
        return (
            queues,
            QueueCursor(
                createdAtMicroseconds: try last["created_us", as: Int64.self],
                queueID: try last["queue_id", as: String.self])
        )
    }

    /// A statement of its own for each kind of filter: one for all (`status = $1 OR $1 IS NULL`) uses no
    /// index.
    ///
    /// Short runs, each in the order of an index, are merged. There is no index over all queues in order: the
    /// planner would take it for a common status and read past everything newer.
    ///
    /// - Returns: gives one row more than `limit` where there are more.
    static func list(_ filter: QueueFilter, after cursor: QueueCursor?, limit: Int) -> PostgresQuery {
        var query = QueryParts()
        let order = "created_at DESC, queue_id DESC"
        let rows = query.bind(limit + 1)
        let seek = cursor.map { cursor in
            let time = query.bind(cursor.createdAtMicroseconds)
            return "AND (created_at, queue_id) < (to_timestamp(0) + \(time)::bigint * "
                + "interval '1 microsecond', \(query.bind(cursor.queueID)))"
        }
        /// Some tables' rows of one phase or status, in order: an index gives the first of them.
        func run(_ table: String, _ conditions: String) -> String {
            """
            (SELECT queue_id, created_at FROM streamforge.\(table) WHERE \(conditions) \(seek ?? "")
            ORDER BY \(order) LIMIT \(rows))
            """
        }
        let runs: [String]
        switch (filter.symbol, filter.status) {
        case (nil, nil): runs = QueueStatus.allCases.map { run("queues", "status = '\($0.rawValue)'") }
        case (nil, let status?): runs = [run("queues", "status = \(query.bind(status.rawValue))")]
        case (let symbol?, nil):
            let symbol = query.bind(symbol)
            let phases = ["open"] + QueueStatus.allCases.filter(\.isFinal).map(\.rawValue)
            runs = phases.map { run("queue_symbols", "symbol = \(symbol) AND phase = '\($0)'") }
        case (let symbol?, let status?) where status.isFinal:
            let (symbol, phase) = (query.bind(symbol), query.bind(status.rawValue))
            runs = [run("queue_symbols", "symbol = \(symbol) AND phase = \(phase)")]
        case (let symbol?, let status?):
            // Looks at no more than the open queues of the symbol.
            let (symbol, status) = (query.bind(symbol), query.bind(status.rawValue))
            let current =
                "(SELECT q.status FROM streamforge.queues q WHERE q.queue_id = queue_symbols.queue_id)"
            runs = [
                run("queue_symbols", "symbol = \(symbol) AND phase = 'open' AND \(current) = \(status)")
            ]
        }
        let source = "SELECT queue_id FROM (\(runs.joined(separator: " UNION ALL "))) AS runs"
        return query.query(
            """
            SELECT \(QueueRow.columns), (extract(epoch FROM q.created_at) * 1000000)::bigint AS created_us
            FROM (\(source) ORDER BY \(order) LIMIT \(rows)) AS chosen JOIN streamforge.queues q USING (queue_id)
            ORDER BY q.created_at DESC, q.queue_id DESC
            """)
    }

    /// nil when there is no such queue.
    package func status(of id: QueueID) async throws -> QueueStatus? {
        let rows = try await pool.execute(
            "SELECT status FROM streamforge.queues WHERE queue_id = \(id.rawValue)")
        return try rows.first.map { try $0.word("status", as: QueueStatus.self) }
    }

    /// nil when there is no such queue.
    package func queue(_ id: QueueID) async throws -> (queue: QueueRow, instances: [InstanceRow])? {
        let results = try await pool.withTransaction(.init(isolation: .repeatableRead, isReadOnly: true)) {
            try await $0.executeAndCommit([
                "SELECT \(raw: QueueRow.columns) FROM streamforge.queues WHERE queue_id = \(id.rawValue)",
                """
                SELECT \(raw: InstanceRow.columns) FROM streamforge.instances i
                WHERE i.queue_id = \(id.rawValue) ORDER BY i.position
                """,
            ])
        }
        guard let row = results[0].first else { return nil }
        let queue = try QueueRow(row, plans)
        return (queue, try results[1].map { try InstanceRow($0, attemptsMax: queue.plan.attemptsMax) })
    }

    /// The history of a queue from `after` (exclusive) on, oldest first; nil when there is no such queue.
    package func events(
        of id: QueueID, after number: Int64, limit: Int
    ) async throws -> (events: [HistoryEvent], isFinal: Bool)? {
        let results = try await pool.withTransaction(.init(isolation: .repeatableRead, isReadOnly: true)) {
            try await $0.executeAndCommit([
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
