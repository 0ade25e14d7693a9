import PostgresBridge

/// Tables of locks, semaphores and limits (decision record 0014).
enum ResourceSchema {
    static let migration = Migration(8, "locks and semaphores", sql: resources)

    private static let resources = """
        -- Those that nobody has set have one permit.
        CREATE TABLE streamforge.semaphores (
            name    text COLLATE "C" PRIMARY KEY,
            permits integer NOT NULL CHECK (permits > 0)
        );
        -- Written in the transaction of the look that creates the attempt, deleted in that which finds its job
        -- gone. A resource is lock:…, semaphore:…, target:… or overall.
        CREATE TABLE streamforge.resource_holds (
            resource text COLLATE "C" NOT NULL,
            queue_id text COLLATE "C" NOT NULL REFERENCES streamforge.queues ON DELETE CASCADE,
            step     text COLLATE "C" NOT NULL,
            instance text COLLATE "C" NOT NULL,
            since    timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (resource, queue_id, step, instance)
        );
        CREATE INDEX resource_holds_by_queue ON streamforge.resource_holds (queue_id);
        CREATE TABLE streamforge.resource_waits (
            resource text COLLATE "C" NOT NULL,
            queue_id text COLLATE "C" NOT NULL REFERENCES streamforge.queues ON DELETE CASCADE,
            step     text COLLATE "C" NOT NULL,
            instance text COLLATE "C" NOT NULL,
            since    timestamptz NOT NULL,
            -- since less ten seconds for each point of priority, in milliseconds: the lowest is first in line.
            rank     bigint NOT NULL,
            -- This is what it lacks; in other lines it keeps its place.
            is_short boolean NOT NULL,
            PRIMARY KEY (resource, queue_id, step, instance)
        );
        CREATE INDEX resource_waits_by_queue ON streamforge.resource_waits (queue_id);
        CREATE INDEX resource_waits_in_line ON streamforge.resource_waits (resource, rank, queue_id);
        """
}
