-- Pauses or resumes a model on every node.
CREATE FUNCTION set_paused(p_model text, is_paused boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM commit_durably();
    IF is_paused THEN
        INSERT INTO paused VALUES (p_model) ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM paused WHERE paused.model = p_model;
    END IF;
END
$$;

-- Leases due deliveries of models that are not paused, one of each model in turn. Only those that are due since a time
-- for each model, and leases that end since a time, NULL for all: entries of an index whose row was updated or deleted
-- stay until no snapshot sees the row, and a search from the beginning would read all of them.
-- The last row has no id, but the time of the search, whether more leases than were looked at have expired, and the
-- time until the next delivery is due.
CREATE FUNCTION claim(
    models text[], limits integer[], since_us bigint[], most integer, suspects integer, expired_since_us bigint,
    length_us bigint)
RETURNS TABLE (
    delivery uuid, model text, token uuid, attempt integer, crashes integer, due_us bigint, more_expired boolean,
    next_due_us bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    t timestamptz;
    w work;
    expired integer;
    expired_since timestamptz := coalesce(of_us(expired_since_us), '-infinity');
    claimed uuid[];
    -- The due time of each, NULL for those that have crashed.
    claimed_due timestamptz[];
    next_due timestamptz;
BEGIN
    PERFORM commit_fast();
    SELECT coalesce(array_agg(u.name ORDER BY u.place), '{}'), coalesce(array_agg(u.most ORDER BY u.place), '{}'),
        coalesce(array_agg(u.since ORDER BY u.place), '{}')
    INTO models, limits, since_us FROM unnest(models, limits, since_us) WITH ORDINALITY AS u (name, most, since, place)
    WHERE NOT EXISTS (SELECT FROM paused p WHERE p.model = u.name);
    FOR pass IN 1..3 LOOP
        t := clock();
        expired := 0;
        FOR w IN
            SELECT * FROM work WHERE kind = 1 AND due >= expired_since AND due <= t AND model = ANY (models)
            ORDER BY due LIMIT 100 FOR UPDATE SKIP LOCKED
        LOOP
            PERFORM crash(w);
            expired := expired + 1;
        END LOOP;
        WITH wants AS (
            SELECT model, most_of_model, coalesce(of_us(since), '-infinity') AS since, place
            FROM unnest(models, limits, since_us) WITH ORDINALITY AS m (model, most_of_model, since, place)
        ), found AS (
            SELECT m.place, m.most_of_model, r.id, r.due, false AS is_suspect FROM wants m CROSS JOIN LATERAL (
                SELECT id, due FROM work
                WHERE model = m.model AND kind IN (0, 3) AND crashes = 0 AND due >= m.since AND due <= t
                ORDER BY due, id LIMIT least(m.most_of_model, most) FOR UPDATE SKIP LOCKED
            ) r
            UNION ALL
            SELECT m.place, m.most_of_model, r.id, r.due, true FROM wants m CROSS JOIN LATERAL (
                SELECT id, due FROM work
                WHERE model = m.model AND kind IN (0, 3) AND crashes > 0 AND due <= t
                ORDER BY due, id LIMIT least(m.most_of_model, most, suspects) FOR UPDATE SKIP LOCKED
            ) r
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY place ORDER BY due, id) AS round FROM found
        ), allowed AS (
            SELECT *, row_number() OVER (PARTITION BY is_suspect ORDER BY round, place) AS of_its_kind FROM ranked
        ), in_rounds AS (
            SELECT *, row_number() OVER (PARTITION BY place ORDER BY due, id) AS final_round FROM allowed
            WHERE NOT is_suspect OR of_its_kind <= suspects
        )
        SELECT array_agg(id ORDER BY final_round, place),
            array_agg(CASE WHEN NOT is_suspect THEN due END ORDER BY final_round, place)
        INTO claimed, claimed_due FROM (
            SELECT * FROM in_rounds WHERE final_round <= most_of_model ORDER BY final_round, place LIMIT most
        ) c;
        EXIT WHEN claimed IS NOT NULL OR most = 0;
        -- A row that another transaction has locked was skipped. If it is the only one, wait for that transaction.
        -- Searched for each model, with a limit: the planner would join in an order that reads the entries of all models.
        EXIT WHEN NOT EXISTS (
            SELECT FROM unnest(models, limits, since_us) AS m (model, most_of_model, since) CROSS JOIN LATERAL (
                SELECT FROM work WHERE model = m.model AND kind IN (0, 3) AND crashes = 0
                    AND due >= coalesce(of_us(m.since), '-infinity') AND due <= t
                LIMIT least(m.most_of_model, 1)
            ) r
        );
        PERFORM r.id FROM unnest(models, limits, since_us) AS m (model, most_of_model, since) CROSS JOIN LATERAL (
            SELECT id FROM work WHERE model = m.model AND kind IN (0, 3) AND crashes = 0
                AND due >= coalesce(of_us(m.since), '-infinity') AND due <= t
            ORDER BY due, id LIMIT least(m.most_of_model, 1) FOR UPDATE
        ) r LIMIT 1;
    END LOOP;
    RETURN QUERY
    WITH leased AS (
        UPDATE work SET
            kind = 1, lease = gen_random_uuid(), due = after_us(clock(), length_us), attempts = attempts + 1,
            outcome = NULL, inference = NULL, flight = NULL, waits_for = NULL
        WHERE id = ANY (claimed) RETURNING *
    )
    SELECT id, model, lease, attempts, crashes, to_us(claimed_due[place]), NULL::boolean, NULL::bigint
    FROM (SELECT *, array_position(claimed, id) AS place FROM leased) l ORDER BY place;
    SELECT min(r.due) INTO next_due FROM unnest(models) AS m (model) CROSS JOIN LATERAL (
        (SELECT due FROM work WHERE model = m.model AND kind IN (0, 3) AND crashes = 0 AND due > t
         ORDER BY due LIMIT 1)
        UNION ALL
        (SELECT due FROM work WHERE model = m.model AND kind IN (0, 3) AND crashes > 0 AND due > t
         ORDER BY due LIMIT 1)
    ) r;
    RETURN QUERY SELECT NULL::uuid, NULL::text, NULL::uuid, NULL::int, NULL::int, to_us(t), expired = 100,
        (extract(epoch FROM next_due - t) * 1000000)::bigint;
END
$$;

-- Leases one delivery. No row: it does not exist. Without an attempt: it is not leased.
CREATE FUNCTION acquire(p_id uuid, revives boolean, p_token uuid, length_us bigint)
RETURNS TABLE (state text, attempt integer, crashes integer) LANGUAGE plpgsql AS $$
DECLARE
    w work;
    final_state text;
BEGIN
    PERFORM commit_fast();
    LOOP
        w := lock_work(p_id);
        EXIT WHEN w.id IS NOT NULL;
        SELECT l.outcome INTO final_state FROM ledger l WHERE l.id = p_id;
        IF NOT FOUND THEN
            RETURN;
        ELSIF final_state IS NOT NULL THEN
            RETURN QUERY SELECT final_state, NULL::int, NULL::int;
            RETURN;
        END IF;
    END LOOP;
    IF NOT w.has_body OR w.kind = 1 OR (w.kind IN (4, 5) AND (w.poisoned OR NOT revives)) THEN
        RETURN QUERY SELECT state_of(w, clock()), NULL::int, NULL::int;
        RETURN;
    END IF;
    w := lease_work(w, w.kind IN (4, 5), p_token, length_us);
    RETURN QUERY SELECT state_of(w, clock()), w.attempts, w.crashes;
END
$$;

-- Extends leases, and returns the deliveries whose lease was lost. A row that another transaction has locked is about
-- to change, and is neither extended nor lost.
CREATE FUNCTION renew(ids uuid[], tokens uuid[], length_us bigint) RETURNS SETOF uuid LANGUAGE plpgsql AS $$
BEGIN
    PERFORM commit_fast();
    WITH held AS MATERIALIZED (
        SELECT w.id FROM unnest(ids, tokens) AS u (id, token) JOIN work w ON w.id = u.id AND w.lease = u.token
        WHERE w.kind = 1 AND w.due > clock() ORDER BY w.id FOR UPDATE OF w SKIP LOCKED
    )
    UPDATE work SET due = after_us(clock(), length_us) FROM held WHERE work.id = held.id;
    RETURN QUERY
    SELECT u.id FROM unnest(ids, tokens) WITH ORDINALITY AS u (id, token, place) WHERE NOT EXISTS (
        SELECT FROM work w WHERE w.id = u.id AND w.lease = u.token AND w.kind = 1 AND w.due > clock()
    ) ORDER BY u.place;
END
$$;

-- Ends a lease without an outcome: done, lost, unknown.
CREATE FUNCTION release(p_id uuid, p_token uuid, wait_us bigint, waits_for_flight bytea) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    w work;
    turn turns;
    due_at timestamptz;
    busy_until timestamptz;
BEGIN
    PERFORM commit_fast();
    w := lock_leased(p_id, p_token);
    IF w.id IS NULL THEN
        RETURN CASE WHEN EXISTS (SELECT FROM ledger l WHERE l.id = p_id) THEN 'lost' ELSE 'unknown' END;
    END IF;
    PERFORM end_flight(w.flight, w.lease);
    due_at := after_us(clock(), wait_us);
    IF waits_for_flight IS NOT NULL THEN
        -- Locked, so that the flight does not end unnoticed before this delivery waits for it.
        SELECT * INTO turn FROM turns WHERE turns.key = waits_for_flight FOR UPDATE;
        SELECT h.due INTO busy_until FROM work h
        WHERE h.id = turn.id AND h.lease = turn.lease AND h.kind = 1 AND h.due > clock();
        due_at := coalesce(busy_until, clock());
    END IF;
    UPDATE work SET
        kind = 0, lease = NULL, flight = NULL, attempts = work.attempts - 1,
        due = CASE WHEN work.has_body THEN due_at END,
        waits_for = CASE WHEN work.has_body AND busy_until IS NOT NULL THEN waits_for_flight END
    WHERE work.id = p_id;
    RETURN 'done';
END
$$;

-- Enters the single flight of an inference: lost, busy, started, processed; and another delivery with its outcome.
CREATE FUNCTION begin_inference(p_id uuid, p_token uuid, p_inference bytea)
RETURNS TABLE (result text, other uuid, outcome text) LANGUAGE plpgsql AS $$
DECLARE
    w work;
    turn turns;
    flight_key bytea := substr(p_inference, 1, 12);
    version bytea := substr(p_inference, 1, 16);
BEGIN
    PERFORM commit_fast();
    w := lock_leased(p_id, p_token);
    IF w.id IS NULL THEN
        RETURN QUERY SELECT 'lost', NULL::uuid, NULL::text;
        RETURN;
    END IF;
    WHILE w.flight IS DISTINCT FROM flight_key LOOP
        INSERT INTO turns VALUES (flight_key, p_id, p_token) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            SELECT * INTO turn FROM turns WHERE turns.key = flight_key FOR UPDATE;
            CONTINUE WHEN NOT FOUND;
            -- A statement of its own: the holder may have got its lease after the last one began.
            IF EXISTS (
                SELECT FROM work h WHERE h.id = turn.id AND h.lease = turn.lease AND h.kind = 1 AND h.due > clock()
            ) THEN
                RETURN QUERY SELECT 'busy', NULL::uuid, NULL::text;
                RETURN;
            END IF;
            UPDATE turns SET id = p_id, lease = p_token WHERE turns.key = flight_key;
        END IF;
        PERFORM end_flight(w.flight, p_token);
        UPDATE work SET flight = flight_key WHERE work.id = p_id;
        w.flight := flight_key;
    END LOOP;
    RETURN QUERY
    SELECT 'processed', l.id, l.outcome FROM inferences i JOIN ledger l ON l.id = i.id
    WHERE i.inference = p_inference AND i.id <> p_id ORDER BY i.seq DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN QUERY
        SELECT 'started', i.id, NULL::text FROM inferences i
        WHERE i.inference BETWEEN version || '\x0000000000000000' AND version || '\xffffffffffffffff' AND i.id <> p_id
        ORDER BY i.seq DESC LIMIT 1;
    END IF;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'started', NULL::uuid, NULL::text;
    END IF;
END
$$;
