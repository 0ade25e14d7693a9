import PostgresBridge

/// The tables of schedules and backfills.
///
/// Columns of type `bigint` that hold times are Unix time, in seconds or, where it ends in `_at`, in
/// milliseconds: what fires when is computed outside of the database, by its clock.
enum ScheduleSchema {
    static let migration = Migration(5, "schedules and backfills", sql: schedules + backfills)

    private static let schedules = """
        -- Of all schedules, so that one made anew under an old name never meets the keys of the old one.
        CREATE SEQUENCE streamforge.schedule_generations;
        CREATE TABLE streamforge.schedules (
            name          text COLLATE "C" PRIMARY KEY,
            generation    bigint NOT NULL DEFAULT nextval('streamforge.schedule_generations'),
            spec          jsonb NOT NULL,
            is_paused     boolean NOT NULL DEFAULT false,
            pause_reason  text,
            -- Every fire time up to here (seconds) has its firing.
            decided_up_to bigint NOT NULL,
            fired_count   bigint NOT NULL DEFAULT 0,
            created_at    timestamptz NOT NULL DEFAULT now(),
            updated_at    timestamptz NOT NULL DEFAULT now(),
            look_at       bigint DEFAULT 0,
            look_version  bigint NOT NULL DEFAULT 0,
            claim_token   text,
            claim_until   timestamptz
        );
        CREATE INDEX schedules_to_look_at ON streamforge.schedules (look_at) WHERE look_at IS NOT NULL;

        CREATE TABLE streamforge.firings (
            number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            schedule     text COLLATE "C" NOT NULL REFERENCES streamforge.schedules ON DELETE CASCADE,
            generation   bigint NOT NULL,
            -- Seconds.
            fire_time    bigint NOT NULL,
            is_manual    boolean NOT NULL DEFAULT false,
            -- What a repeated trigger is known by.
            trigger_key  text,
            state        text NOT NULL,
            reason       text,
            -- A row of state missed may stand for several fire times, the last of which is fire_time.
            missed_count integer NOT NULL DEFAULT 0,
            first_missed bigint,
            -- The request; null once it is not needed any more.
            body         jsonb,
            tries        integer NOT NULL DEFAULT 0,
            try_at       bigint NOT NULL DEFAULT 0,
            -- Until then a start that is not possible just now is tried again.
            try_until_at bigint NOT NULL DEFAULT 0,
            queue_id     text,
            queue_status text,
            created_at   timestamptz NOT NULL DEFAULT now(),
            changed_at   timestamptz NOT NULL DEFAULT now()
        );
        CREATE UNIQUE INDEX firings_once ON streamforge.firings (schedule, generation, fire_time)
            WHERE NOT is_manual;
        CREATE UNIQUE INDEX firings_by_trigger_key ON streamforge.firings (schedule, trigger_key)
            WHERE trigger_key IS NOT NULL;
        CREATE INDEX firings_of_schedule ON streamforge.firings (schedule, number DESC);
        CREATE INDEX firings_open ON streamforge.firings (schedule, number)
            WHERE state IN ('waiting', 'starting', 'started');

        """

    private static let backfills = """
        CREATE TABLE streamforge.backfills (
            name            text COLLATE "C" PRIMARY KEY,
            number          bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
            spec            jsonb NOT NULL,
            state           text NOT NULL DEFAULT 'running',
            idempotency_key text,
            request_hash    text NOT NULL,
            created_at      timestamptz NOT NULL DEFAULT now(),
            ended_at        timestamptz,
            look_at         bigint DEFAULT 0,
            look_version    bigint NOT NULL DEFAULT 0,
            claim_token     text,
            claim_until     timestamptz
        );
        CREATE INDEX backfills_to_look_at ON streamforge.backfills (look_at) WHERE look_at IS NOT NULL;
        CREATE UNIQUE INDEX backfills_by_key ON streamforge.backfills (idempotency_key)
            WHERE idempotency_key IS NOT NULL;

        CREATE TABLE streamforge.backfill_shards (
            backfill   text COLLATE "C" NOT NULL REFERENCES streamforge.backfills ON DELETE CASCADE,
            number     integer NOT NULL,
            state      text NOT NULL DEFAULT 'waiting',
            attempt    integer NOT NULL DEFAULT 0,
            is_wanted  boolean NOT NULL DEFAULT true,
            reason     text,
            -- Of the newest try.
            queue_id   text,
            tries      integer NOT NULL DEFAULT 0,
            try_at     bigint NOT NULL DEFAULT 0,
            started_at timestamptz,
            ended_at   timestamptz,
            PRIMARY KEY (backfill, number)
        );
        CREATE INDEX backfill_shards_by_state ON streamforge.backfill_shards (backfill, state, number);
        """
}
