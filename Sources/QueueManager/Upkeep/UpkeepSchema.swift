import PostgresBridge

/// What lists, feed, dead letters, retention and projection add to the engine's tables.
enum UpkeepSchema {
    static let migration = Migration(
        6, "feed, lists, dead letters, retention, projection",
        sql: [feed, lists, deadLetters, retention, projection].joined(separator: "\n"))

    /// Each event knows its transaction: whoever reads only below the oldest transaction that still runs
    /// misses no late commit. A default, so that writers need not know.
    private static let feed = """
        ALTER TABLE streamforge.events ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
        CREATE INDEX events_by_transaction ON streamforge.events (xid, queue_id, number);

        -- A transaction gets its number before it waits for the queue's row, so a later event may carry a
        -- lower one. With the queue's highest so far instead, a queue's events keep their order in the feed; as
        -- it is never below the transaction's own, nothing is shown too early.
        CREATE FUNCTION streamforge.keep_event_order() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.xid := greatest(NEW.xid, (SELECT e.xid FROM streamforge.events e
                WHERE e.queue_id = NEW.queue_id AND e.number < NEW.number ORDER BY e.number DESC LIMIT 1));
            RETURN NEW;
        END $$;
        CREATE TRIGGER keep_event_order BEFORE INSERT ON streamforge.events FOR EACH ROW
            WHEN (NEW.number > 1) EXECUTE FUNCTION streamforge.keep_event_order();
        """

    /// One row a queue and symbol, in the order of the list: an index over the plan's array finds the queues
    /// of a symbol, but not the newest of them. Kept by triggers, so that no writer can forget it.
    private static let lists = """
        -- Lists merge the runs of queues_by_status.
        DROP INDEX streamforge.queues_by_creation;

        CREATE FUNCTION streamforge.queue_phase(status text) RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql
        AS $$ SELECT CASE WHEN status IN ('finished', 'failed', 'stopped') THEN status ELSE 'open' END $$;

        CREATE TABLE streamforge.queue_symbols (
            queue_id   text COLLATE "C" NOT NULL REFERENCES streamforge.queues ON DELETE CASCADE,
            symbol     text COLLATE "C" NOT NULL,
            -- The final status, or `open`: it changes once, however often the queue's status does.
            phase      text COLLATE "C" NOT NULL,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (queue_id, symbol)
        );
        CREATE INDEX queue_symbols_in_order
            ON streamforge.queue_symbols (symbol, phase, created_at DESC, queue_id DESC);

        CREATE FUNCTION streamforge.note_queue_symbols() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO streamforge.queue_symbols (queue_id, symbol, phase, created_at)
            SELECT DISTINCT c.queue_id, s.symbol, streamforge.queue_phase(c.status), c.created_at
            FROM created c, jsonb_array_elements_text(
                CASE jsonb_typeof(c.plan->'symbols') WHEN 'array' THEN c.plan->'symbols' ELSE '[]' END
            ) AS s(symbol);
            RETURN NULL;
        END $$;
        CREATE TRIGGER note_symbols AFTER INSERT ON streamforge.queues REFERENCING NEW TABLE AS created
            FOR EACH STATEMENT EXECUTE FUNCTION streamforge.note_queue_symbols();

        CREATE FUNCTION streamforge.note_queue_phase() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE streamforge.queue_symbols SET phase = streamforge.queue_phase(NEW.status)
            WHERE queue_id = NEW.queue_id;
            RETURN NULL;
        END $$;
        CREATE TRIGGER note_phase AFTER UPDATE OF status ON streamforge.queues FOR EACH ROW
            WHEN (streamforge.queue_phase(OLD.status) <> streamforge.queue_phase(NEW.status))
            EXECUTE FUNCTION streamforge.note_queue_phase();

        INSERT INTO streamforge.queue_symbols (queue_id, symbol, phase, created_at)
        SELECT DISTINCT q.queue_id, s.symbol, streamforge.queue_phase(q.status), q.created_at
        FROM streamforge.queues q, jsonb_array_elements_text(q.plan->'symbols') AS s(symbol);
        """

    private static let deadLetters = """
        CREATE INDEX instances_with_dead_letters ON streamforge.instances (queue_id) WHERE dead_letters > 0;

        -- How far each dead-letter topic was copied.
        CREATE TABLE streamforge.dead_letter_topics (
            topic       text COLLATE "C" PRIMARY KEY,
            queue_id    text COLLATE "C" NOT NULL REFERENCES streamforge.queues ON DELETE CASCADE,
            next_offset bigint NOT NULL DEFAULT 0,
            -- What the workers had counted before it was last read to its end; another number: read again.
            told        bigint NOT NULL DEFAULT 0
        );
        CREATE INDEX dead_letter_topics_by_queue ON streamforge.dead_letter_topics (queue_id);

        CREATE TABLE streamforge.dead_letters (
            queue_id      text COLLATE "C" NOT NULL REFERENCES streamforge.queues ON DELETE CASCADE,
            letter        bigint GENERATED ALWAYS AS IDENTITY,
            -- `<data topic>/<partition>/<offset>` of the record: a repeat is the same letter.
            key           text COLLATE "C" NOT NULL UNIQUE,
            -- The instance that could not store it.
            step          text COLLATE "C" NOT NULL,
            instance      text COLLATE "C" NOT NULL,
            topic         text COLLATE "C" NOT NULL,
            partition     integer NOT NULL,
            record_offset bigint NOT NULL,
            reason        text NOT NULL,
            record_key    bytea,
            -- At most DeadLetter.valueBytesMax of value_bytes.
            value         bytea,
            value_bytes   integer NOT NULL,
            -- A list of {name, value}; values that are no UTF-8 as {name, hex}.
            headers       jsonb NOT NULL,
            first_seen    timestamptz NOT NULL DEFAULT now(),
            state         text NOT NULL DEFAULT 'open',
            settled_at    timestamptz,
            settled_by    text,
            -- The value it was replayed with, where that was another one.
            edited_value  bytea,
            PRIMARY KEY (queue_id, letter)
        );
        CREATE INDEX dead_letters_by_state ON streamforge.dead_letters (queue_id, state, letter);
        CREATE INDEX dead_letters_by_step ON streamforge.dead_letters (queue_id, step, state, letter);
        CREATE INDEX dead_letters_by_age ON streamforge.dead_letters (first_seen);
        """

    /// A queue is in one of the two indexes at a time: they cost a write each in its life.
    private static let retention = """
        ALTER TABLE streamforge.queues
            -- The event number up to which it was archived.
            ADD COLUMN archived_number bigint,
            ADD COLUMN is_history_deleted boolean NOT NULL DEFAULT false;
        CREATE INDEX queues_with_old_history ON streamforge.queues (finished_at)
            WHERE is_cleaned AND NOT is_history_deleted;
        CREATE INDEX queues_without_history ON streamforge.queues (finished_at) WHERE is_history_deleted;
        -- For the cascade.
        CREATE INDEX idempotency_keys_by_queue ON streamforge.idempotency_keys (queue_id);
        """

    private static let projection = """
        CREATE TABLE streamforge.projections (
            name           text PRIMARY KEY,
            -- A rebuild has written the queues up to this one; null: none is under way.
            rebuild_after  text COLLATE "C",
            -- The position in the feed.
            xid            xid8 NOT NULL,
            queue_id       text COLLATE "C" NOT NULL,
            number         bigint NOT NULL
        );
        -- Queues that retention deleted and the projection still shows.
        CREATE TABLE streamforge.removed_queues (
            queue_id text COLLATE "C" PRIMARY KEY
        );
        """
}
