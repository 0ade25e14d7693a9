import PostgresBridge
import Workflow

/// Where the projection stands, and what it shows, in PostgreSQL.
package struct ProjectionStore: Sendable {
    let pool: PostgresPool

    package init(_ pool: PostgresPool) {
        self.pool = pool
    }

    struct Position: Sendable, Hashable {
        /// A rebuild has written the queues up to this one; nil: none is under way.
        var rebuildAfter: String?
        var feed: HistoryCursor
    }

    /// nil before the first build.
    func position(of name: String) async throws -> Position? {
        let rows = try await pool.execute(
            """
            SELECT rebuild_after, xid::text AS transaction, queue_id, number
            FROM streamforge.projections WHERE name = \(name)
            """)
        return try rows.first.map { row in
            Position(
                rebuildAfter: try row["rebuild_after", as: String?.self],
                feed: HistoryCursor(
                    transaction: try row.transaction("transaction"),
                    queueID: try row["queue_id", as: String.self], number: try row["number", as: Int64.self]))
        }
    }

    /// Moves on by compare-and-set.
    ///
    /// - Returns: false when it stands elsewhere by now, e.g. because somebody asked for a rebuild.
    func move(_ name: String, from old: Position, to new: Position) async throws -> Bool {
        try await pool.execute(
            """
            UPDATE streamforge.projections SET rebuild_after = \(optional: new.rebuildAfter),
            xid = \(String(new.feed.transaction))::xid8, queue_id = \(new.feed.queueID),
            number = \(new.feed.number) WHERE name = \(name) AND rebuild_after IS NOT DISTINCT FROM \(optional: old.rebuildAfter)
            AND xid = \(String(old.feed.transaction))::xid8 AND queue_id = \(old.feed.queueID)
            AND number = \(old.feed.number)
            """
        ).affectedRows == 1
    }

    /// Begins anew: all queues are written, then what happened since this moment.
    package func requestRebuild(of name: String) async throws {
        try await pool.execute(
            """
            INSERT INTO streamforge.projections (name, rebuild_after, xid, queue_id, number)
            VALUES (\(name), '', pg_snapshot_xmin(pg_current_snapshot()), '', 0)
            ON CONFLICT (name) DO UPDATE SET rebuild_after = '', xid = excluded.xid, queue_id = '', number = 0
            """)
    }

    /// Queue ids after `id`, in order.
    func queueIDs(after id: String, limit: Int) async throws -> [QueueID] {
        try await pool.execute(
            """
            SELECT queue_id FROM streamforge.queues WHERE queue_id > \(id) ORDER BY queue_id LIMIT \(limit)
            """
        ).map { try $0.queueID("queue_id") }
    }

    /// Queues that retention deleted.
    func removed(limit: Int) async throws -> [String] {
        try await pool.execute("SELECT queue_id FROM streamforge.removed_queues LIMIT \(limit)")
            .map { try $0["queue_id", as: String.self] }
    }

    func forget(_ removed: [String]) async throws {
        try await pool.execute(
            "DELETE FROM streamforge.removed_queues WHERE queue_id = ANY(\(removed)::text[])")
    }
}
