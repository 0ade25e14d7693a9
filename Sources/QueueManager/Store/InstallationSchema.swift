import PostgresBridge

/// The id of this database, made once: what an engine leaves in a cluster is marked with it.
enum InstallationSchema {
    static let migration = Migration(
        11, "installation",
        sql: """
            CREATE TABLE streamforge.installation (
                -- At most one row.
                is_only    boolean PRIMARY KEY DEFAULT true CHECK (is_only),
                id         text NOT NULL,
                created_at timestamptz NOT NULL DEFAULT now()
            );
            INSERT INTO streamforge.installation (id)
                VALUES (left(replace(gen_random_uuid()::text, '-', ''), 16));
            """)
}

extension EngineStore {
    /// The id of the database: 16 of 0-9 a-f. A copy of the database has the same: let it work elsewhere.
    package func installationID() async throws -> String {
        let rows = try await pool.execute("SELECT id FROM streamforge.installation")
        guard let row = rows.first else {
            throw PostgresError(
                .invalid, operation: "read the id of the database",
                message: "streamforge.installation is empty: its row was deleted")
        }
        return try row["id", as: String.self]
    }
}
