import PostgresBridge

extension EngineSchema {
    /// The exchange's weight as a budget that loaders share (design decision 11; decision record 0012).
    ///
    /// Loaders change these two tables and see no other: role `streamforge_budget`. Where our user may not create
    /// roles, an operator does it (docs/operations.md).
    static let exchangeBudgets = Migration(7, "exchange budgets", sql: budgets)

    /// Nobody reads it any more: a release after this one need not write it, and the one after that may drop it.
    static let unansweredWeight = Migration(
        15, "unanswered weight",
        sql: "ALTER TABLE streamforge.exchange_leases ALTER COLUMN unanswered SET DEFAULT 0")

    private static let budgets = """
        -- One row for each egress (the address loaders go out by) and exchange. Its lock orders all changes.
        -- Times are Unix milliseconds of this server's clock; clock_low and clock_high bound how far the
        -- exchange's is ahead of it.
        CREATE TABLE streamforge.exchange_budgets (
            egress         text COLLATE "C" NOT NULL,
            exchange       text COLLATE "C" NOT NULL,
            -- As the loader that asked last is configured.
            weight_max     bigint NOT NULL DEFAULT 1,
            usable_max     bigint NOT NULL DEFAULT 1,
            metering       text NOT NULL DEFAULT 'unknown',
            window_seconds bigint NOT NULL DEFAULT 60,
            -- The exchange's window since 1970 that reported and the leases are about.
            window_number  bigint,
            reported       bigint NOT NULL DEFAULT 0,
            clock_low      bigint,
            clock_high     bigint,
            clock_at       bigint,
            -- 'ban' (418) or 'backOff' (429), for all loaders of the egress.
            stay_kind      text,
            stay_until     bigint,
            probe_by       text,
            probe_until    bigint NOT NULL DEFAULT 0,
            updated_at     timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (egress, exchange)
        );
        CREATE TABLE streamforge.exchange_leases (
            egress        text COLLATE "C" NOT NULL,
            exchange      text COLLATE "C" NOT NULL,
            -- One process.
            holder        text COLLATE "C" NOT NULL,
            queue_id      text NOT NULL,
            step          text NOT NULL,
            instance      text NOT NULL,
            attempt       integer NOT NULL,
            granted       bigint NOT NULL,
            answered      bigint NOT NULL,
            answered_at_reading bigint NOT NULL,
            late          bigint NOT NULL,
            unanswered    bigint NOT NULL,
            want          bigint NOT NULL,
            least         bigint NOT NULL,
            waiting_since bigint,
            active_until  bigint NOT NULL,
            seen_at       bigint NOT NULL,
            PRIMARY KEY (egress, exchange, holder),
            FOREIGN KEY (egress, exchange) REFERENCES streamforge.exchange_budgets ON DELETE CASCADE
        );
        DO $$
        BEGIN
            BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'streamforge_budget') THEN
                    CREATE ROLE streamforge_budget NOLOGIN;
                END IF;
            EXCEPTION
                -- Another database of this server does the same now.
                WHEN duplicate_object OR unique_violation THEN NULL;
                -- An operator does it, or loaders use a user that may do more.
                WHEN insufficient_privilege THEN NULL;
            END;
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'streamforge_budget') THEN
                GRANT USAGE ON SCHEMA streamforge TO streamforge_budget;
                GRANT SELECT, INSERT, UPDATE, DELETE
                    ON streamforge.exchange_budgets, streamforge.exchange_leases TO streamforge_budget;
            END IF;
        END
        $$;
        """
}
