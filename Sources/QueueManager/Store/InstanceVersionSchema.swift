import PostgresBridge

/// Numbers the changes of instances, so that whoever holds a large queue reads only what is new.
enum InstanceVersionSchema {
    static let migration = Migration(
        14, "versions of instances",
        sql: """
            CREATE SEQUENCE streamforge.instance_versions;
            -- Of the last change; instances change under their queue's row lock, so that whoever holds it has seen
            -- all up to the highest that it sees.
            ALTER TABLE streamforge.instances ADD COLUMN version bigint NOT NULL DEFAULT 0;
            -- A trigger, so that no writer can forget it, also not one of an older release.
            ALTER TABLE streamforge.instances
                ALTER COLUMN version SET DEFAULT nextval('streamforge.instance_versions');
            CREATE FUNCTION streamforge.number_instance_change() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                NEW.version := nextval('streamforge.instance_versions');
                RETURN NEW;
            END $$;
            CREATE TRIGGER number_instance_change BEFORE UPDATE ON streamforge.instances
                FOR EACH ROW EXECUTE FUNCTION streamforge.number_instance_change();
            """)
}
