import PostgresBridge

/// What removing a model needs (docs/decisions/0027-models.md).
enum ModelRemovalSchema {
    static let migration = Migration(
        13, "removal of models",
        sql: """
            -- Set: nobody sees the model any more, and its files are being removed; the row goes last.
            ALTER TABLE streamforge.models ADD COLUMN removed_at timestamptz;
            CREATE INDEX models_to_remove ON streamforge.models (number) WHERE removed_at IS NOT NULL;

            -- The highest version of a name that was removed: its number is given to no other.
            CREATE TABLE streamforge.models_removed (
                name    text COLLATE "C" PRIMARY KEY,
                version integer NOT NULL
            );
            """)
}
