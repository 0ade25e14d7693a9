import PostgresBridge
import Workflow

/// The table of saved logs.
enum LogSchema {
    static let migration = Migration(
        10, "logs of attempts",
        sql: """
            -- The last 1 MiB of what an attempt wrote to its output, kept when its job goes. Goes with the queue.
            CREATE TABLE streamforge.attempt_logs (
                queue_id text COLLATE "C" NOT NULL REFERENCES streamforge.queues ON DELETE CASCADE,
                step     text COLLATE "C" NOT NULL,
                instance text COLLATE "C" NOT NULL,
                attempt  integer NOT NULL,
                log      bytea NOT NULL,
                saved_at timestamptz NOT NULL DEFAULT now(),
                PRIMARY KEY (queue_id, step, instance, attempt)
            );
            """)
}

/// Keeps logs beside the queues; they are deleted with them.
package struct PostgresLogStore: LogStore {
    private let pool: PostgresPool

    package init(_ pool: PostgresPool) {
        self.pool = pool
    }

    package func save(_ log: [UInt8], of key: JobKey) async throws(LogStoreError) {
        let kept = Array(log.suffix(SavedLog.bytesMax))
        do {
            try await pool.execute(
                """
                INSERT INTO streamforge.attempt_logs (queue_id, step, instance, attempt, log)
                SELECT queue_id, \(key.id.step.rawValue)::text, \(key.id.instance)::text,
                    \(key.attempt)::int, \(kept)::bytea
                FROM streamforge.queues WHERE queue_id = \(key.queueID.rawValue)
                ON CONFLICT (queue_id, step, instance, attempt)
                DO UPDATE SET log = excluded.log, saved_at = excluded.saved_at
                """)
        } catch {
            throw LogStoreError(operation: "save the log of \(key.id)", detail: "\(error)")
        }
    }

    package func log(of key: JobKey) async throws(LogStoreError) -> [UInt8]? {
        do {
            let rows = try await pool.execute(
                """
                SELECT log FROM streamforge.attempt_logs
                WHERE queue_id = \(key.queueID.rawValue) AND step = \(key.id.step.rawValue)
                AND instance = \(key.id.instance) AND attempt = \(key.attempt)
                """)
            return try rows.first.map { try $0["log", as: [UInt8].self] }
        } catch {
            throw LogStoreError(operation: "read the log of \(key.id)", detail: "\(error)")
        }
    }
}
