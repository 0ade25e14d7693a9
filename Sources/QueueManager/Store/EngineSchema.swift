import PostgresBridge

/// The tables of the engine, schema `streamforge`: PostgreSQL is the truth (design decision 3).
package enum EngineSchema {
    package static let migrations: [Migration] = [
        Migration(1, "engine", sql: engine), Migration(2, "pause", sql: pause),
        Migration(3, "looks", sql: looks), TemplateSchema.migration, ScheduleSchema.migration,
        UpkeepSchema.migration, exchangeBudgets, ResourceSchema.migration, RetrySchema.migration,
        LogSchema.migration, InstallationSchema.migration,
        ModelSchema.migration, ModelRemovalSchema.migration, InstanceVersionSchema.migration,
        unansweredWeight,
    ]

    private static let looks = """
        -- A claimed queue's look_at is the end of the claim: then whoever comes first takes over.
        ALTER TABLE streamforge.queues DROP COLUMN claim_until, DROP COLUMN look_version;
        UPDATE streamforge.queues SET claim_token = NULL, look_at = now() WHERE NOT is_cleaned;
        DROP INDEX streamforge.queues_to_look_at;
        CREATE INDEX queues_to_look_at ON streamforge.queues (look_at)
            WHERE NOT is_cleaned AND look_at < 'infinity';
        ALTER TABLE streamforge.attempts
            -- Names the look that created the attempt and means to launch it.
            ADD COLUMN launch_token text NOT NULL DEFAULT '',
            -- The partition's blind_ms when the lease was granted.
            ADD COLUMN lease_blind_ms bigint NOT NULL DEFAULT 0,
            ADD COLUMN how_ended text,
            -- The stop is in queue-control, or nobody is left to read it.
            ADD COLUMN is_stop_sent boolean NOT NULL DEFAULT false,
            -- Its job does not exist any more.
            ADD COLUMN is_gone boolean NOT NULL DEFAULT false;
        UPDATE streamforge.attempts SET is_gone = true WHERE ended_at IS NOT NULL;
        DROP INDEX streamforge.attempts_live;
        CREATE INDEX attempts_live ON streamforge.attempts (queue_id) WHERE NOT is_gone;
        -- How long its reader could not tell whether workers were heard; leases do not run meanwhile.
        ALTER TABLE streamforge.event_partitions ADD COLUMN blind_ms bigint NOT NULL DEFAULT 0;
        """

    private static let pause = """
        ALTER TABLE streamforge.queues
            -- Set while the queue is paused.
            ADD COLUMN paused_at timestamptz,
            -- Milliseconds of all pauses that are over.
            ADD COLUMN paused_ms bigint NOT NULL DEFAULT 0,
            -- Whoever asked does not want to wait for batches in hand.
            ADD COLUMN is_terminated boolean NOT NULL DEFAULT false;
        -- The queue's paused_ms when the instance's first attempt was created.
        ALTER TABLE streamforge.instances ADD COLUMN paused_ms_before bigint NOT NULL DEFAULT 0;
        """

    private static let engine = """
        CREATE TABLE streamforge.queues (
            queue_id      text COLLATE "C" PRIMARY KEY,
            status        text NOT NULL,
            reason        text,
            request       jsonb NOT NULL,
            plan          jsonb NOT NULL,
            as_of         bigint NOT NULL,
            traceparent   text,
            created_at    timestamptz NOT NULL DEFAULT now(),
            started_at    timestamptz,
            finished_at   timestamptz,
            -- Numbers of history events and commands, handed out under this row's lock.
            event_number  bigint NOT NULL DEFAULT 0,
            command_seq   bigint NOT NULL DEFAULT 0,
            -- When to look again; look_version tells a reconciler that somebody asked meanwhile.
            look_at       timestamptz NOT NULL DEFAULT now(),
            look_version  bigint NOT NULL DEFAULT 0,
            claim_token   text,
            claim_until   timestamptz,
            -- Topics are gone and nothing runs: there is nothing left to do.
            is_cleaned    boolean NOT NULL DEFAULT false
        );
        CREATE INDEX queues_to_look_at ON streamforge.queues (look_at) WHERE NOT is_cleaned;
        CREATE INDEX queues_by_creation ON streamforge.queues (created_at DESC, queue_id DESC);
        CREATE INDEX queues_by_status ON streamforge.queues (status, created_at DESC, queue_id DESC);

        CREATE TABLE streamforge.instances (
            queue_id        text COLLATE "C" NOT NULL REFERENCES streamforge.queues ON DELETE CASCADE,
            step            text COLLATE "C" NOT NULL,
            instance        text COLLATE "C" NOT NULL,
            -- Order of the plan, for people.
            position        integer NOT NULL,
            status          text NOT NULL DEFAULT 'waiting',
            attempt         integer NOT NULL DEFAULT 0,
            failures        integer NOT NULL DEFAULT 0,
            is_wanted       boolean NOT NULL DEFAULT true,
            reason          text,
            not_before      timestamptz NOT NULL DEFAULT now(),
            records_read    bigint NOT NULL DEFAULT 0,
            records_written bigint NOT NULL DEFAULT 0,
            duplicates      bigint NOT NULL DEFAULT 0,
            dead_letters    bigint NOT NULL DEFAULT 0,
            last_key        text,
            last_seq        bigint,
            extra           jsonb,
            started_at      timestamptz,
            finished_at     timestamptz,
            PRIMARY KEY (queue_id, step, instance)
        );

        CREATE TABLE streamforge.attempts (
            queue_id       text COLLATE "C" NOT NULL,
            step           text COLLATE "C" NOT NULL,
            instance       text COLLATE "C" NOT NULL,
            attempt        integer NOT NULL,
            status         text NOT NULL DEFAULT 'starting',
            reason         text,
            control_partition integer NOT NULL,
            control_offset bigint NOT NULL,
            -- How the launcher finds the job again; null until the launch was recorded.
            handle         jsonb,
            worker_id      text,
            last_event_seq bigint NOT NULL DEFAULT 0,
            lease_until    timestamptz NOT NULL,
            -- The job is gone; lost once the event reader has passed this offset without a final event.
            gone_offset    bigint,
            stop_requested_at timestamptz,
            created_at     timestamptz NOT NULL DEFAULT now(),
            ended_at       timestamptz,
            PRIMARY KEY (queue_id, step, instance, attempt),
            FOREIGN KEY (queue_id, step, instance) REFERENCES streamforge.instances ON DELETE CASCADE
        );
        CREATE INDEX attempts_live ON streamforge.attempts (queue_id) WHERE ended_at IS NULL;

        CREATE TABLE streamforge.events (
            queue_id text COLLATE "C" NOT NULL REFERENCES streamforge.queues ON DELETE CASCADE,
            number   bigint NOT NULL,
            at       timestamptz NOT NULL DEFAULT clock_timestamp(),
            kind     text NOT NULL,
            -- Who caused it: api, engine, or the worker's producer id.
            actor    text NOT NULL,
            step     text,
            instance text,
            attempt  integer,
            detail   jsonb NOT NULL DEFAULT '{}',
            PRIMARY KEY (queue_id, number)
        );

        CREATE TABLE streamforge.outbox (
            queue_id    text COLLATE "C" NOT NULL REFERENCES streamforge.queues ON DELETE CASCADE,
            command_seq bigint NOT NULL,
            step        text,
            instance    text,
            attempt     integer,
            payload     jsonb NOT NULL,
            send_at     timestamptz NOT NULL DEFAULT now(),
            sends       integer NOT NULL DEFAULT 0,
            PRIMARY KEY (queue_id, command_seq)
        );
        CREATE INDEX outbox_due ON streamforge.outbox (send_at, queue_id, command_seq);

        CREATE TABLE streamforge.event_partitions (
            partition    integer PRIMARY KEY,
            next_offset  bigint NOT NULL DEFAULT 0,
            owner        text,
            owned_until  timestamptz,
            -- When the reader last stood at the partition's end; leases are judged only up to here.
            caught_up_at timestamptz
        );

        CREATE TABLE streamforge.idempotency_keys (
            key          text COLLATE "C" PRIMARY KEY,
            request_hash text NOT NULL,
            queue_id     text NOT NULL REFERENCES streamforge.queues ON DELETE CASCADE,
            created_at   timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX idempotency_keys_by_age ON streamforge.idempotency_keys (created_at);
        """
}
