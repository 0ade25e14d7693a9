import PostgresBridge
import Workflow

/// An event with its queue and its place in the feed.
package struct FeedEvent: Sendable, Hashable {
    package var queueID: QueueID
    package var event: HistoryEvent
    package var cursor: HistoryCursor
}

/// The events of all queues in one order.
package struct HistoryStore: Sendable {
    package static let pageMax = 1_000

    let pool: PostgresPool

    package init(_ pool: PostgresPool) {
        self.pool = pool
    }

    /// What follows `cursor`, as far as it is certain that nothing comes in between any more.
    ///
    /// A transaction that stays open holds up the feed, in any database of the server.
    package func events(after cursor: HistoryCursor, limit: Int) async throws -> [FeedEvent] {
        try await pool.execute(Self.page(after: cursor, limit: limit)).map { row in
            let event = try HistoryEvent(row)
            let queueID = try row.queueID("queue_id")
            return FeedEvent(
                queueID: queueID, event: event,
                cursor: HistoryCursor(
                    transaction: try row.transaction("transaction"), queueID: queueID.rawValue,
                    number: event.number))
        }
    }

    /// The place of whoever wants only what is to come.
    package func end() async throws -> HistoryCursor {
        let rows = try await pool.execute(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xid")
        guard let row = rows.first else { return .beginning }
        return HistoryCursor(transaction: try row.transaction("xid"), queueID: "", number: 0)
    }

    static func page(after cursor: HistoryCursor, limit: Int) -> PostgresQuery {
        """
        SELECT xid::text AS transaction, queue_id, number, \(raw: timeText("at")), kind, actor, step, instance,
        attempt, detail::text AS detail FROM streamforge.events
        WHERE (xid, queue_id, number)
            > (\(String(cursor.transaction))::xid8, \(cursor.queueID), \(cursor.number))
        AND xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY xid, queue_id, number LIMIT \(limit)
        """
    }
}

extension PostgresRow {
    func transaction(_ column: String) throws -> UInt64 {
        let text = try self[column, as: String.self]
        guard let number = UInt64(text) else { throw StoredValueError(column: column, value: text) }
        return number
    }
}
