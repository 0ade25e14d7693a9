import PostgresBridge
import Workflow

/// Writes queues as lines of JSON, one file a day: `queues-YYYY-MM-DD.ndjson`, by the day the queue ended.
///
/// A line holds the rows as they were: `{"queue":{…},"instances":[…],"attempts":[…],"dead_letters":[…],
/// "events":[…]}`. A queue may come twice, when the job was killed before it noted the first, or when
/// something was added later: the lines' events complete each other.
struct QueueArchive: Sendable {
    let directory: String

    private static let eventsPageMax = 500

    /// Appends queues; they are on the disk when this returns. Those that are not there are passed over.
    func append(_ queueIDs: [String], day: String, from connection: PostgresConnection) async throws {
        let file = try await ArchiveFile.open(directory: directory, name: "queues-\(day).ndjson")
        do {
            for id in queueIDs { try await write(id, connection, to: file) }
            try await file.sync()
            await file.close()
        } catch {
            // What was written of the last line is cut off when the file is opened again.
            await file.close()
            throw error
        }
    }

    /// Events come in pages: a long history does not fit into memory.
    private func write(_ id: String, _ connection: PostgresConnection, to file: ArchiveFile) async throws {
        let heads = try await connection.execute(
            """
            SELECT to_jsonb(q)::text AS queue, \(raw: Self.rows("instances", order: "position")) AS instances,
            \(raw: Self.rows("attempts", order: "step, t.instance, t.attempt")) AS attempts,
            \(raw: Self.rows("dead_letters", order: "letter")) AS dead_letters
            FROM streamforge.queues q WHERE q.queue_id = \(id)
            """)
        guard let head = heads.first else { return }
        var line = "{"
        for name in ["queue", "instances", "attempts", "dead_letters"] {
            line += "\"\(name)\":\(try head[name, as: String.self]),"
        }
        try await file.write(line + "\"events\":[")
        var after: Int64 = 0
        while true {
            let page = try await connection.execute(
                """
                SELECT number, to_jsonb(e)::text AS event FROM streamforge.events e
                WHERE queue_id = \(id) AND number > \(after) ORDER BY number LIMIT \(Self.eventsPageMax)
                """)
            let events = try page.map { try $0["event", as: String.self] }.joined(separator: ",")
            if !events.isEmpty { try await file.write((after == 0 ? "" : ",") + events) }
            guard page.count == Self.eventsPageMax, let last = page.last else { break }
            after = try last["number", as: Int64.self]
        }
        try await file.write("]}\n")
    }

    private static func rows(_ table: String, order: String) -> String {
        """
        coalesce((SELECT jsonb_agg(to_jsonb(t) ORDER BY t.\(order)) FROM streamforge.\(table) t \
        WHERE t.queue_id = q.queue_id), '[]')::text
        """
    }
}
