/// One step of a schema's history. A published one is never changed; a new one is added.
package struct Migration: Sendable, Hashable {
    /// From 1 without a gap.
    package var number: Int
    /// For people, e.g. `create queues`.
    package var name: String
    /// One or more statements without parameters; run in one transaction.
    package var sql: String

    package init(_ number: Int, _ name: String, sql: String) {
        self.number = number
        self.name = name
        self.sql = sql
    }

    /// FNV-1a over the text: tells an accidental change, not a forged one.
    var checksum: String {
        let hash = sql.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension PostgresPool {
    /// How long a migrator waits for another one, and a single migration may run.
    private static let migrationTimeout = Duration.seconds(600)

    /// Brings a schema up to date. Any number of processes may call this at once: one works, the others
    /// wait for it and find nothing to do.
    ///
    /// - Parameters:
    ///   - migrations: numbered from 1, all that were ever published.
    ///   - schema: created if missing; what was applied is kept in its table `schema_migrations`.
    /// - Returns: the numbers applied now.
    /// - Throws: ``PostgresError`` `invalid` when an applied migration differs from ours or is unknown to
    ///   us (the database is newer than the program); `server` for a failing one, which leaves no trace.
    @discardableResult
    package func migrate(_ migrations: [Migration], schema: String = "public") async throws -> [Int] {
        guard migrations.map(\.number) == Array(1..<migrations.count + 1) else {
            throw Self.migrationError("migrations are not numbered from 1 without a gap")
        }
        return try await withConnection { connection in
            try await connection.setStatementTimeout(Self.migrationTimeout)
            // A lock of the session, as every migration is a transaction of its own.
            let lock: PostgresQuery = "SELECT pg_advisory_lock(hashtextextended(\("migrate \(schema)"), 0))"
            let unlockAll: PostgresQuery = "SELECT pg_advisory_unlock_all()"
            try await connection.execute(lock)
            do {
                let applied = try await applyMissing(migrations, schema: schema, connection)
                try await connection.execute(unlockAll)
                return applied
            } catch {
                // A cancelled task can send nothing any more: its session ends, and the lock with it.
                do { try await connection.execute(unlockAll) } catch { await connection.close() }
                throw error
            }
        }
    }

    private func applyMissing(
        _ migrations: [Migration], schema: String, _ connection: PostgresConnection
    ) async throws -> [Int] {
        let table = "\(quotedIdentifier(schema)).schema_migrations"
        try await connection.executeScript(
            """
            CREATE SCHEMA IF NOT EXISTS \(quotedIdentifier(schema));
            CREATE TABLE IF NOT EXISTS \(table) (
                number integer PRIMARY KEY,
                name text NOT NULL,
                checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now()
            );
            """)
        let rows = try await connection.execute(
            "SELECT number, name, checksum FROM \(raw: table) ORDER BY number")
        try checkHistory(rows, migrations, schema: schema)
        var applied: [Int] = []
        for migration in migrations.dropFirst(rows.count) {
            let start = ContinuousClock.now
            try await apply(migration, table: table, connection)
            applied.append(migration.number)
            let duration = start.duration(to: .now)
            observe(.migrationApplied(number: migration.number, name: migration.name, duration: duration))
        }
        return applied
    }

    // The optimizer of Swift 6.3 crashes when this is inlined into a loop.
    @inline(never)
    private func apply(
        _ migration: Migration, table: String, _ connection: PostgresConnection
    ) async throws {
        try await connection.withTransaction { transaction in
            try await transaction.executeScript(migration.sql)
            try await transaction.execute(
                """
                INSERT INTO \(raw: table) (number, name, checksum)
                VALUES (\(migration.number), \(migration.name), \(migration.checksum))
                """)
        }
    }

    private func checkHistory(_ rows: PostgresResult, _ migrations: [Migration], schema: String) throws {
        for (index, row) in rows.enumerated() {
            let number = try row["number", as: Int.self]
            guard index < migrations.count, migrations[index].number == number else {
                throw Self.migrationError(
                    "schema \(schema) has migration \(number), unknown to this program: use a newer one")
            }
            guard try row["checksum", as: String.self] == migrations[index].checksum else {
                throw Self.migrationError(
                    "migration \(number) of schema \(schema) was changed after it was applied")
            }
        }
    }

    private static func migrationError(_ message: String) -> PostgresError {
        PostgresError(.invalid, operation: "migrate", message: message)
    }
}
