import PostgresBridge

/// What a retry keeps beside the queue (docs/decisions/0015-a-retry-is-a-new-run.md).
enum RetrySchema {
    static let migration = Migration(
        9, "retry",
        sql: """
            -- 1, and one more with each retry.
            ALTER TABLE streamforge.queues ADD COLUMN run integer NOT NULL DEFAULT 1;
            -- The instance's newest attempt of earlier runs.
            ALTER TABLE streamforge.instances ADD COLUMN attempts_before integer NOT NULL DEFAULT 0;
            """)
}
