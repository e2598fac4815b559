-- Version 3: partitions and retention. Partitions are created and dropped with the rights of the owner of the schema,
-- so that the service needs no right to create tables.

-- Creates the partitions of bodies of today and of the next days, and returns their number.
CREATE FUNCTION create_partitions(days_ahead integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    body_day date;
    name text;
    created integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(current_schema() || '.partitions', 0));
    FOR number IN 0..days_ahead LOOP
        body_day := today() + number;
        name := 'bodies_' || to_char(body_day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(quote_ident(current_schema()) || '.' || name) IS NOT NULL;
        EXECUTE format(
            'CREATE TABLE %I (LIKE bodies INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING CONSTRAINTS, '
            'CHECK (day = %L))',
            name, body_day
        );
        -- Unlike CREATE TABLE … PARTITION OF, this does not wait for readers.
        EXECUTE format(
            'ALTER TABLE bodies ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, body_day, body_day + 1
        );
        created := created + 1;
    END LOOP;
    RETURN created;
END
$$;

-- The oldest day before `before` that has a partition.
CREATE FUNCTION oldest_partition(before date) RETURNS date LANGUAGE plpgsql AS $$
BEGIN
    RETURN (
        SELECT min(to_date(right(c.relname, 8), 'YYYYMMDD')) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'bodies'::regclass AND to_date(right(c.relname, 8), 'YYYYMMDD') < before
    );
END
$$;

-- Moves bodies of deliveries that are not final from a day to today, and returns their number.
CREATE FUNCTION move_bodies(from_day date, most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    ids uuid[];
BEGIN
    -- Skips locked rows, which are found in the next round.
    SELECT array_agg(c.id) INTO ids FROM (
        SELECT w.id FROM work w JOIN ledger l ON l.id = w.id
        WHERE l.day = from_day AND w.has_body ORDER BY w.id LIMIT most FOR UPDATE OF w SKIP LOCKED
    ) c;
    WITH moved AS (
        DELETE FROM bodies WHERE day = from_day AND id = ANY (ids) RETURNING *
    )
    INSERT INTO bodies SELECT today(), id, head, body FROM moved;
    UPDATE ledger SET day = today() WHERE id = ANY (ids);
    RETURN coalesce(cardinality(ids), 0);
END
$$;

-- Drops the partition of a day. Returns false if it still has bodies of deliveries that are not final.
CREATE FUNCTION drop_partition(body_day date, wait_ms integer) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF EXISTS (SELECT FROM work w JOIN ledger l ON l.id = w.id WHERE l.day = body_day AND w.has_body) THEN
        RETURN false;
    END IF;
    -- A reader that takes long must not make all others wait behind this statement.
    PERFORM set_config('lock_timeout', wait_ms::text, true);
    EXECUTE format('DROP TABLE IF EXISTS %I', 'bodies_' || to_char(body_day, 'YYYYMMDD'));
    UPDATE retention SET bodies_from = greatest(bodies_from, body_day + 1);
    DELETE FROM counts WHERE day = body_day;
    DELETE FROM count_changes WHERE day = body_day;
    RETURN true;
END
$$;

-- Deletes ledger entries of final deliveries without a body before a day, in a window of the ledger that starts after
-- `after`. Returns the end of the window; NULL when no older day follows.
CREATE FUNCTION delete_ledger(before date, after bigint, most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    last_seq bigint;
    oldest date;
BEGIN
    SELECT max(c.seq), min(c.day) INTO last_seq, oldest FROM (
        SELECT seq, day FROM ledger WHERE seq > after ORDER BY seq LIMIT most
    ) c;
    IF last_seq IS NULL OR oldest >= before THEN
        RETURN NULL;
    END IF;
    WITH deleted AS (
        DELETE FROM ledger WHERE seq > after AND seq <= last_seq AND day < before AND kind IS NOT NULL
            AND (NOT has_body OR day < (SELECT bodies_from FROM retention))
        RETURNING id, inference
    )
    DELETE FROM inferences i USING deleted d WHERE i.inference = d.inference AND i.id = d.id;
    RETURN last_seq;
END
$$;

-- Deletes histories of deliveries that were received before a day. Returns the number of states.
CREATE FUNCTION delete_history(before date, most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    -- The ids are UUIDs version 7, which start with the time in milliseconds.
    ms bigint := extract(epoch FROM before::timestamp) * 1000;
    first_kept uuid := (lpad(to_hex(ms), 12, '0') || repeat('0', 20))::uuid;
    deleted integer;
BEGIN
    DELETE FROM history h USING (SELECT id, number FROM history WHERE id < first_kept ORDER BY id, number LIMIT most) o
    WHERE h.id = o.id AND h.number = o.number;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;

-- Notes that a node has the archive open, and forgets those that have not reported for a day.
CREATE FUNCTION report_node(p_id uuid, p_name text, p_version text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM commit_fast();
    INSERT INTO nodes VALUES (p_id, p_name, p_version, clock(), clock())
    ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at;
    DELETE FROM nodes WHERE seen_at < clock() - interval '1 day';
END
$$;

-- Adds up the changes of counts, and deletes flights without a valid lease. One node at a time; the others skip it.
CREATE FUNCTION tidy() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended(current_schema() || '.tidy', 0)) THEN
        RETURN false;
    END IF;
    WITH changes AS (
        DELETE FROM count_changes RETURNING *
    )
    INSERT INTO counts SELECT day, model, kind, sum(deliveries) FROM changes GROUP BY day, model, kind
    ON CONFLICT (day, model, kind) DO UPDATE SET deliveries = counts.deliveries + excluded.deliveries;
    DELETE FROM turns WHERE key IN (
        SELECT t.key FROM turns t WHERE NOT EXISTS (
            SELECT FROM work w WHERE w.id = t.id AND w.lease = t.lease AND w.kind = 1 AND w.due > clock()
        ) LIMIT 1000 FOR UPDATE OF t SKIP LOCKED
    );
    RETURN true;
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'create_partitions', 'oldest_partition', 'move_bodies', 'drop_partition', 'delete_ledger', 'delete_history',
        'report_node', 'tidy'
    ] LOOP
        EXECUTE format('ALTER FUNCTION %I SET search_path FROM CURRENT', name);
    END LOOP;
END
$$;
