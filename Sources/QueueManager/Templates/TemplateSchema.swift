import PostgresBridge

/// The table of stored templates.
package enum TemplateSchema {
    package static let migration = Migration(
        4, "templates",
        sql: """
            CREATE TABLE streamforge.templates (
                name        text COLLATE "C" NOT NULL,
                version     integer NOT NULL,
                -- As it was sent: name, description, parameters, workflow.
                definition  jsonb NOT NULL,
                created_at  timestamptz NOT NULL DEFAULT now(),
                PRIMARY KEY (name, version)
            );
            CREATE INDEX templates_newest_first ON streamforge.templates (name, version DESC);
            """)
}
