import PostgresBridge
import Workflow

/// Names and statements of the PostgreSQL store.
///
/// A collection is a table `documents."<name>"` of `_key` and `document`. Keys compare byte by byte
/// (`COLLATE "C"`), so key order is the same everywhere.
enum PostgreSQLSchema {
    /// Holds what is the store's own, apart from the collections.
    static let ownSchema = "document_store"

    static let migrations = [
        Migration(
            1, "create streams",
            sql: """
                CREATE SCHEMA IF NOT EXISTS documents;
                CREATE TABLE document_store.streams (
                    stream text COLLATE "C" PRIMARY KEY,
                    attempt integer NOT NULL,
                    next_offset bigint NOT NULL DEFAULT 0,
                    last_sequence bigint NOT NULL DEFAULT 0,
                    records_written bigint NOT NULL DEFAULT 0,
                    duplicates bigint NOT NULL DEFAULT 0,
                    dead_letters bigint NOT NULL DEFAULT 0,
                    updated_at timestamptz NOT NULL DEFAULT now()
                );
                """)
    ]

    static let createStaging = PostgresQuery(
        """
        CREATE TEMPORARY TABLE IF NOT EXISTS staging
            (_key text COLLATE "C" NOT NULL, document jsonb NOT NULL) ON COMMIT DELETE ROWS
        """)

    static let copyIntoStaging = "COPY pg_temp.staging (_key, document) FROM STDIN WITH (FORMAT binary)"

    static func copyInto(_ collection: CollectionName) -> String {
        "COPY \(table(collection)) (_key, document) FROM STDIN WITH (FORMAT binary)"
    }

    static func table(_ collection: CollectionName) -> String {
        "documents.\(quotedIdentifier(collection.rawValue))"
    }

    /// Moves what is staged; answers with one row, how many documents are new.
    static func moveStaged(into collection: CollectionName, mode: WriteMode) -> PostgresQuery {
        switch mode {
        case .insertOrIgnore:
            """
            WITH moved AS (
                INSERT INTO \(raw: table(collection)) (_key, document)
                SELECT _key, document FROM pg_temp.staging
                ON CONFLICT DO NOTHING RETURNING 1)
            SELECT count(*) FROM moved
            """
        case .upsert:
            // `xmax` is 0 in a row that was inserted and our transaction's id in one that was replaced. An
            // equal document is left alone: no new row version for nothing.
            """
            WITH moved AS (
                INSERT INTO \(raw: table(collection)) AS stored (_key, document)
                SELECT _key, document FROM pg_temp.staging
                ON CONFLICT (_key) DO UPDATE SET document = EXCLUDED.document
                WHERE stored.document IS DISTINCT FROM EXCLUDED.document
                RETURNING xmax = 0 AS is_new)
            SELECT count(*) FILTER (WHERE is_new) FROM moved
            """
        }
    }

    /// Two at once wait for each other: `IF NOT EXISTS` alone lets both try and one fail.
    static func create(_ collection: CollectionName, indexes: [DocumentIndex]) -> String {
        var statements = [
            "BEGIN",
            "SELECT pg_advisory_xact_lock(hashtextextended('collection \(collection.rawValue)', 0))",
            """
            CREATE TABLE IF NOT EXISTS \(table(collection))
                (_key text COLLATE "C" PRIMARY KEY, document jsonb NOT NULL)
            """,
        ]
        for index in indexes {
            let fields = index.fields.map { "(document->>\(quotedLiteral($0)))" }.joined(separator: ", ")
            statements.append(
                """
                CREATE \(index.isUnique ? "UNIQUE " : "")INDEX IF NOT EXISTS \
                \(quotedIdentifier(indexName(collection, index))) ON \(table(collection)) (\(fields))
                """)
        }
        return (statements + ["COMMIT"]).joined(separator: ";\n")
    }

    /// The same for the same fields, other than for others, and at most 63 bytes.
    static func indexName(_ collection: CollectionName, _ index: DocumentIndex) -> String {
        let text = ([collection.rawValue, String(index.isUnique)] + index.fields).joined(separator: "\u{0}")
        let hash = text.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        let fields = index.fields.joined(separator: "_").filter { $0.isASCII && ($0.isLetter || $0 == "_") }
        return "ix_\(fields.prefix(40))_\(String(hash, radix: 16))"
    }

    /// For `standard_conforming_strings`, the default since PostgreSQL 9.1.
    private static func quotedLiteral(_ text: String) -> String {
        "'\(text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''"))'"
    }
}
