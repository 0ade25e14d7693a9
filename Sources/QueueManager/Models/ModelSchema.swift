import PostgresBridge

/// The registry of trained models (docs/decisions/0027-models.md).
enum ModelSchema {
    static let migration = Migration(
        12, "models",
        sql: """
            CREATE TABLE streamforge.models (
                -- In the order in which they were made.
                number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                name        text COLLATE "C" NOT NULL,
                -- From 1 within a name; given when somebody looks, so that trainings which end at the same
                -- time do not wait for each other.
                version     integer,
                -- Where its files are: models/<name>/<id>.
                place       text COLLATE "C" NOT NULL UNIQUE,
                stage       text NOT NULL DEFAULT 'candidate',
                stage_since timestamptz NOT NULL DEFAULT now(),
                -- Who made it; the queue may be gone.
                queue_id    text COLLATE "C" NOT NULL,
                step        text COLLATE "C" NOT NULL,
                -- What the trainer said at its end: task, horizon, graph, measures, files.
                detail      jsonb NOT NULL,
                created_at  timestamptz NOT NULL DEFAULT now(),
                UNIQUE (name, version)
            );
            CREATE INDEX models_without_version ON streamforge.models (number) WHERE version IS NULL;
            CREATE UNIQUE INDEX models_in_use ON streamforge.models (name, stage)
                WHERE stage IN ('staging', 'production');
            """)
}
