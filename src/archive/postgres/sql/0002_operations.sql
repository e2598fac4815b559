-- Version 2: the operations of the contract. Each is one transaction, and checks its precondition under a row lock.
--
-- Locks are taken in the order work, ledger, turns, and within a table in the order of the key. A delivery without a row
-- in `work` is in a final state for good, so a row of `ledger` never has to be locked first.
--
-- Statements of one function see what other transactions committed before each statement: READ COMMITTED is required.

-- The commit waits for the disk, and for synchronous standbys. Warnings are sent: a cancelled wait is only a warning.
CREATE FUNCTION commit_durably() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('synchronous_commit') <> 'remote_apply' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    PERFORM set_config('client_min_messages', 'warning', true);
END
$$;

-- The commit waits for nothing: if it is lost, a delivery runs again.
CREATE FUNCTION commit_fast() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
END
$$;

CREATE FUNCTION today() RETURNS date LANGUAGE sql VOLATILE RETURN (clock() AT TIME ZONE 'utc')::date;

-- Adds a duration in microseconds.
CREATE FUNCTION after_us(t timestamptz, us bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE
RETURN t + us * interval '1 microsecond';

CREATE FUNCTION poisoned_outcome() RETURNS text LANGUAGE sql IMMUTABLE
RETURN 'dead poisoned - the process crashed 3 times in a row during processing';

-- The state of a delivery that is not final, as text.
CREATE FUNCTION state_of(w work, t timestamptz) RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE
        WHEN w.kind = 1 AND w.due > t THEN format('leased %s %s', w.attempts, w.crashes)
        WHEN w.kind = 1 AND w.crashes >= 2 THEN poisoned_outcome()
        WHEN w.kind = 1 THEN format('pending %s %s', w.attempts, w.crashes + 1)
        WHEN w.kind = 0 THEN format('pending %s %s', w.attempts, w.crashes)
        ELSE w.outcome
    END;

CREATE FUNCTION kind_of(w work, t timestamptz) RETURNS smallint LANGUAGE sql IMMUTABLE
RETURN CASE
        WHEN w.kind <> 1 OR w.due > t THEN w.kind
        WHEN w.crashes >= 2 THEN 4::smallint
        ELSE 0::smallint
    END;

CREATE VIEW deliveries AS
SELECT l.seq, l.id, l.day, l.model, l.received_ns, l.length, l.fingerprint, l.digest,
    l.has_body AND l.day >= (SELECT bodies_from FROM retention) AS has_body,
    CASE WHEN w.id IS NULL THEN l.kind ELSE kind_of(w, clock()) END AS kind,
    CASE WHEN w.id IS NULL THEN l.outcome ELSE state_of(w, clock()) END AS state,
    CASE WHEN w.id IS NULL THEN l.inference ELSE w.inference END AS inference
FROM ledger l LEFT JOIN work w ON w.id = l.id;

CREATE FUNCTION count_dead(w work, change bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF w.kind IN (4, 5) AND w.has_body THEN
        INSERT INTO count_changes VALUES ('-infinity', w.model, w.kind, change);
    END IF;
END
$$;

-- Ends the flight of a lease. One delivery that waits for it becomes due.
CREATE FUNCTION end_flight(ended bytea, token uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF ended IS NULL THEN
        RETURN;
    END IF;
    DELETE FROM turns WHERE turns.key = ended AND turns.lease = token;
    UPDATE work SET due = clock(), waits_for = NULL WHERE work.id = (
        SELECT w.id FROM work w WHERE w.waits_for = ended ORDER BY w.id LIMIT 1 FOR UPDATE SKIP LOCKED
    );
END
$$;

-- Counts an expired lease as a crash. The row has to be locked.
CREATE FUNCTION crash(w work) RETURNS work LANGUAGE plpgsql AS $$
DECLARE
    is_poisoned boolean := w.crashes >= 2;
    crashed work;
BEGIN
    PERFORM end_flight(w.flight, w.lease);
    UPDATE work SET
        kind = CASE WHEN is_poisoned THEN 4 ELSE 0 END,
        poisoned = is_poisoned,
        outcome = CASE WHEN is_poisoned THEN poisoned_outcome() END,
        crashes = CASE WHEN is_poisoned THEN 0 ELSE work.crashes + 1 END,
        due = CASE WHEN is_poisoned OR NOT work.has_body THEN NULL ELSE work.due END,
        lease = NULL, flight = NULL, inference = NULL
    WHERE work.id = w.id RETURNING * INTO crashed;
    PERFORM count_dead(crashed, 1);
    RETURN crashed;
END
$$;

-- Locks the row of a delivery that is not final. NULL if there is none.
CREATE FUNCTION lock_work(p_id uuid) RETURNS work LANGUAGE plpgsql AS $$
DECLARE
    w work;
BEGIN
    SELECT * INTO w FROM work WHERE work.id = p_id FOR UPDATE;
    IF w.kind = 1 AND w.due <= clock() THEN
        w := crash(w);
    END IF;
    RETURN w;
END
$$;

-- Locks the row of a delivery if it is leased under this token.
CREATE FUNCTION lock_leased(p_id uuid, p_token uuid) RETURNS work LANGUAGE plpgsql AS $$
DECLARE
    w work;
BEGIN
    SELECT * INTO w FROM work WHERE work.id = p_id AND work.kind = 1 AND work.lease = p_token FOR UPDATE;
    IF w.due <= clock() THEN
        w := crash(w);
        RETURN NULL;
    END IF;
    RETURN w;
END
$$;

-- Leases a delivery whose row is locked. A revived one starts with attempt 1.
CREATE FUNCTION lease_work(w work, revived boolean, p_token uuid, length_us bigint) RETURNS work
LANGUAGE plpgsql AS $$
DECLARE
    leased work;
BEGIN
    PERFORM count_dead(w, -1);
    UPDATE work SET
        kind = 1, lease = p_token, due = after_us(clock(), length_us),
        attempts = CASE WHEN revived THEN 1 ELSE work.attempts + 1 END,
        crashes = CASE WHEN revived THEN 0 ELSE work.crashes END,
        poisoned = false, outcome = NULL, inference = NULL, flight = NULL, waits_for = NULL
    WHERE work.id = w.id RETURNING * INTO leased;
    RETURN leased;
END
$$;

-- Makes a delivery pending and due, without attempts. Its row has to be locked.
CREATE FUNCTION requeue(w work) RETURNS work LANGUAGE plpgsql AS $$
DECLARE
    queued work;
BEGIN
    PERFORM count_dead(w, -1);
    UPDATE work SET
        kind = 0, due = clock(), attempts = 0, crashes = 0,
        poisoned = false, outcome = NULL, inference = NULL, waits_for = NULL
    WHERE work.id = w.id RETURNING * INTO queued;
    RETURN queued;
END
$$;

-- How a repeat changes the first delivery: store, unchanged, revive, lease_revived, lease.
CREATE FUNCTION on_repeat(w work, wants_lease boolean, t timestamptz) RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE
        WHEN kind_of(w, t) = 4 AND (w.poisoned OR w.kind = 1) THEN 'unchanged'
        WHEN NOT w.has_body THEN 'store'
        WHEN kind_of(w, t) = 1 THEN 'unchanged'
        WHEN kind_of(w, t) IN (4, 5) AND wants_lease THEN 'lease_revived'
        WHEN kind_of(w, t) IN (4, 5) THEN 'revive'
        WHEN wants_lease THEN 'lease'
        ELSE 'unchanged'
    END;

CREATE TYPE appended AS (place integer, delivery uuid, is_fresh boolean, state text, leased boolean, attempt integer, crashes integer);

-- Stores one delivery unless another one has its fingerprint by now.
CREATE FUNCTION store_one(
    p_id uuid, p_fingerprint bytea, p_model text, p_received_ns bigint, p_digest bytea, p_head bytea, p_body bytea,
    p_token uuid, length_us bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    number bigint := nextval('append_order');
    body_day date := today();
BEGIN
    INSERT INTO ledger (id, seq, day, received_ns, length, model, fingerprint, digest)
    VALUES (p_id, number, body_day, p_received_ns, length(p_body), p_model, p_fingerprint, p_digest)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO bodies VALUES (body_day, p_id, p_head, p_body);
    INSERT INTO work (id, seq, received_ns, model, kind, due, lease, attempts)
    VALUES (
        p_id, number, p_received_ns, p_model, (p_token IS NOT NULL)::int,
        CASE WHEN p_token IS NULL THEN clock() ELSE after_us(clock(), length_us) END,
        p_token, (p_token IS NOT NULL)::int
    );
    RETURN true;
END
$$;

-- Appends a delivery that another one with the same fingerprint or the same id precedes.
CREATE FUNCTION append_repeat(
    p_place integer, p_id uuid, p_fingerprint bytea, p_model text, p_received_ns bigint, p_digest bytea, p_head bytea,
    p_body bytea, p_token uuid, length_us bigint, resent boolean
) RETURNS appended LANGUAGE plpgsql AS $$
DECLARE
    first_id uuid;
    w work;
    decision text;
    final_state text;
    own bytea;
BEGIN
    LOOP
        SELECT l.fingerprint INTO own FROM ledger l WHERE l.id = p_id;
        IF own <> p_fingerprint THEN
            RAISE EXCEPTION 'another delivery has the id %', p_id;
        END IF;
        SELECT l.id INTO first_id FROM ledger l WHERE l.fingerprint = p_fingerprint AND l.is_first;
        IF NOT FOUND THEN
            IF own IS NOT NULL THEN
                RAISE EXCEPTION 'another delivery has the id %', p_id;
            END IF;
            IF store_one(
                p_id, p_fingerprint, p_model, p_received_ns, p_digest, p_head, p_body, p_token, length_us
            ) THEN
                RETURN (
                    p_place, p_id, true, CASE WHEN p_token IS NULL THEN 'pending 0 0' ELSE 'leased 1 0' END,
                    p_token IS NOT NULL, 1, 0
                )::appended;
            END IF;
            CONTINUE;
        END IF;
        SELECT * INTO w FROM work WHERE work.id = first_id;
        IF NOT FOUND THEN
            SELECT l.outcome INTO final_state FROM ledger l WHERE l.id = first_id AND l.kind IS NOT NULL;
            CONTINUE WHEN NOT FOUND;
            RETURN (p_place, first_id, resent AND first_id = p_id, final_state, false, 0, 0)::appended;
        END IF;
        decision := on_repeat(w, p_token IS NOT NULL, clock());
        IF decision <> 'unchanged' THEN
            w := lock_work(first_id);
            CONTINUE WHEN w.id IS NULL;
            decision := on_repeat(w, p_token IS NOT NULL, clock());
        END IF;
        IF decision = 'store' THEN
            UPDATE ledger SET is_first = false WHERE ledger.id = first_id;
            CONTINUE;
        ELSIF decision = 'revive' THEN
            w := requeue(w);
        ELSIF decision <> 'unchanged' THEN
            w := lease_work(w, decision = 'lease_revived', p_token, length_us);
        END IF;
        -- A batch that was sent again may find the lease that it took the first time.
        RETURN (
            p_place, first_id, resent AND first_id = p_id, state_of(w, clock()),
            coalesce(w.lease = p_token AND w.due > clock(), false), w.attempts, w.crashes
        )::appended;
    END LOOP;
END
$$;

-- Stores a batch. Fresh deliveries are inserted by one statement. `resent`: the answer to the same batch was lost.
CREATE FUNCTION append(
    ids uuid[], fingerprints bytea[], models text[], received bigint[], digests bytea[], heads bytea[],
    contents bytea[], tokens uuid[], lengths_us bigint[], resent boolean
) RETURNS SETOF appended LANGUAGE plpgsql AS $$
DECLARE
    t timestamptz;
    body_day date := today();
    stored uuid[];
    r record;
BEGIN
    PERFORM commit_durably();
    t := clock();
    WITH sent AS MATERIALIZED (
        SELECT s.*, nextval('append_order') AS seq FROM (
            SELECT * FROM unnest(ids, fingerprints, models, received, digests, heads, contents, tokens, lengths_us)
            WITH ORDINALITY AS s (id, fingerprint, model, received_ns, digest, head, body, token, length_us, place)
            ORDER BY place
        ) s
    ), fresh AS (
        INSERT INTO ledger (id, seq, day, received_ns, length, model, fingerprint, digest)
        SELECT id, seq, body_day, received_ns, length(body), model, fingerprint, digest FROM sent
        -- In this order no two batches wait for each other.
        ORDER BY fingerprint, seq
        ON CONFLICT DO NOTHING RETURNING id
    ), kept AS (
        INSERT INTO bodies SELECT body_day, id, head, body FROM sent JOIN fresh USING (id)
    ), queued AS (
        INSERT INTO work (id, seq, received_ns, model, kind, due, lease, attempts)
        SELECT id, seq, received_ns, model, (token IS NOT NULL)::int,
            CASE WHEN token IS NULL THEN t ELSE after_us(t, length_us) END, token, (token IS NOT NULL)::int
        FROM sent JOIN fresh USING (id)
    )
    SELECT coalesce(array_agg(id), '{}') INTO stored FROM fresh;
    RETURN QUERY
    SELECT u.place::int, u.id, true, CASE WHEN u.token IS NULL THEN 'pending 0 0' ELSE 'leased 1 0' END,
        u.token IS NOT NULL, 1, 0
    FROM unnest(ids, tokens) WITH ORDINALITY AS u (id, token, place) WHERE u.id = ANY (stored);
    IF cardinality(stored) = cardinality(ids) THEN
        RETURN;
    END IF;
    -- The first delivery may be visible and not yet flushed or replicated, after a cancelled wait. This record makes the
    -- commit wait until everything before it is.
    PERFORM pg_logical_emit_message(true, 'inbox', '');
    FOR r IN
        SELECT u.place::int AS place, u.id FROM unnest(ids, fingerprints) WITH ORDINALITY AS u (id, fingerprint, place)
        WHERE NOT u.id = ANY (stored) ORDER BY u.fingerprint, u.place
    LOOP
        RETURN NEXT append_repeat(
            r.place, r.id, fingerprints[r.place], models[r.place], received[r.place], digests[r.place],
            heads[r.place], contents[r.place], tokens[r.place], lengths_us[r.place], resent
        );
    END LOOP;
END
$$;

-- Leases due deliveries, one of each model in turn. One row without an id has the time until the next one is due.
CREATE FUNCTION claim(models text[], limits integer[], most integer, suspects integer, length_us bigint)
RETURNS TABLE (delivery uuid, model text, token uuid, attempt integer, crashes integer, next_due_us bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    t timestamptz;
    w work;
    claimed uuid[];
    next_due timestamptz;
BEGIN
    PERFORM commit_fast();
    FOR pass IN 1..3 LOOP
        t := clock();
        FOR w IN
            SELECT * FROM work WHERE kind = 1 AND due <= t AND model = ANY (models)
            ORDER BY due LIMIT 100 FOR UPDATE SKIP LOCKED
        LOOP
            PERFORM crash(w);
        END LOOP;
        WITH wants AS (
            SELECT * FROM unnest(models, limits) WITH ORDINALITY AS m (model, most_of_model, place)
        ), found AS (
            SELECT m.place, m.most_of_model, r.id, r.due, false AS is_suspect FROM wants m CROSS JOIN LATERAL (
                SELECT id, due FROM work
                WHERE model = m.model AND kind IN (0, 3) AND crashes = 0 AND due <= t
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
        SELECT array_agg(id ORDER BY final_round, place) INTO claimed FROM (
            SELECT id, final_round, place FROM in_rounds WHERE final_round <= most_of_model
            ORDER BY final_round, place LIMIT most
        ) c;
        EXIT WHEN claimed IS NOT NULL OR most = 0;
        -- A row that another transaction has locked was skipped. If it is the only one, wait for that transaction.
        EXIT WHEN NOT EXISTS (
            SELECT FROM unnest(models, limits) AS m (model, most_of_model)
            JOIN work w ON w.model = m.model AND w.kind IN (0, 3) AND w.crashes = 0 AND w.due <= t
            WHERE m.most_of_model > 0
        );
        PERFORM r.id FROM unnest(models, limits) AS m (model, most_of_model) CROSS JOIN LATERAL (
            SELECT id FROM work WHERE model = m.model AND kind IN (0, 3) AND crashes = 0 AND due <= t
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
    SELECT id, model, lease, attempts, crashes, NULL::bigint FROM leased ORDER BY array_position(claimed, id);
    SELECT min(r.due) INTO next_due FROM unnest(models) AS m (model) CROSS JOIN LATERAL (
        (SELECT due FROM work WHERE model = m.model AND kind IN (0, 3) AND crashes = 0 AND due > t
         ORDER BY due LIMIT 1)
        UNION ALL
        (SELECT due FROM work WHERE model = m.model AND kind IN (0, 3) AND crashes > 0 AND due > t
         ORDER BY due LIMIT 1)
    ) r;
    RETURN QUERY SELECT NULL::uuid, NULL::text, NULL::uuid, NULL::int, NULL::int,
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

-- Extends leases, and returns the deliveries whose lease was lost. A row that another transaction has locked is about to
-- change, and is neither extended nor lost.
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

-- Records one outcome that is not final: failed, dead or undecodable.
CREATE FUNCTION settle_open(
    p_id uuid, p_token uuid, p_kind smallint, p_outcome text, p_inference bytea, is_poisoned boolean,
    p_attempts integer, retry_us bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    w work;
BEGIN
    w := lock_leased(p_id, p_token);
    IF w.id IS NULL THEN
        RETURN false;
    END IF;
    PERFORM end_flight(w.flight, w.lease);
    UPDATE work SET
        kind = p_kind, poisoned = is_poisoned, outcome = p_outcome, inference = p_inference,
        lease = NULL, flight = NULL, attempts = p_attempts, crashes = 0,
        due = CASE WHEN p_kind = 3 AND work.has_body THEN after_us(clock(), retry_us) END
    WHERE work.id = p_id RETURNING * INTO w;
    PERFORM count_dead(w, 1);
    RETURN true;
END
$$;

-- Records outcomes, at most one for each delivery: done, lost, unknown. `resent`: the answer to the same batch was lost,
-- so an outcome that is already recorded is done.
CREATE FUNCTION settle(
    ids uuid[], tokens uuid[], kinds smallint[], outcomes text[], sent_inferences bytea[], poisoned boolean[],
    attempts integer[], retries_us bigint[], resent boolean
) RETURNS TABLE (place integer, result text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    t timestamptz;
    done uuid[];
    flights bytea[];
    holders uuid[];
    r record;
BEGIN
    PERFORM commit_durably();
    t := clock();
    -- Processed and repeat. A late "processed" counts until the delivery is settled.
    WITH sent AS MATERIALIZED (
        SELECT * FROM unnest(ids, tokens, kinds, outcomes, sent_inferences)
        AS s (id, token, kind, outcome, inference) WHERE kind IN (2, 6)
    ), mine AS MATERIALIZED (
        SELECT w.id, w.flight, w.lease FROM work w JOIN sent s ON s.id = w.id
        WHERE (w.kind = 1 AND w.lease = s.token AND w.due > t)
            OR (s.kind = 2 AND kind_of(w, t) IN (0, 1, 3))
        ORDER BY w.id FOR UPDATE OF w
    ), gone AS (
        DELETE FROM work w USING mine WHERE w.id = mine.id
    ), recorded AS (
        UPDATE ledger l SET kind = s.kind, outcome = s.outcome, inference = s.inference
        FROM sent s JOIN mine ON mine.id = s.id WHERE l.id = s.id RETURNING l.*
    ), known AS (
        INSERT INTO inferences SELECT inference, id, seq FROM recorded WHERE kind = 2 AND inference IS NOT NULL
        ON CONFLICT DO NOTHING
    ), counted AS (
        INSERT INTO count_changes SELECT day, model, kind, count(*) FROM recorded
        WHERE has_body GROUP BY day, model, kind
    )
    SELECT array_agg(id), array_agg(flight ORDER BY flight), array_agg(lease ORDER BY flight)
    INTO done, flights, holders FROM mine;
    FOR r IN SELECT * FROM unnest(flights, holders) AS f (flight, token) WHERE flight IS NOT NULL LOOP
        PERFORM end_flight(r.flight, r.token);
    END LOOP;
    FOR r IN
        SELECT * FROM unnest(ids, tokens, kinds, outcomes, sent_inferences, poisoned, attempts, retries_us)
        WITH ORDINALITY AS s (id, token, kind, outcome, inference, is_poisoned, attempt, retry_us, place) ORDER BY id
    LOOP
        IF r.kind IN (2, 6) THEN
            result := CASE WHEN r.id = ANY (done) THEN 'done' ELSE 'lost' END;
        ELSE
            result := CASE WHEN settle_open(
                r.id, r.token, r.kind, r.outcome, r.inference, r.is_poisoned, r.attempt, r.retry_us
            ) THEN 'done' ELSE 'lost' END;
        END IF;
        IF result = 'lost' AND r.kind = 2 THEN
            -- The handler has settled it in its own transaction, which does not know the inference.
            UPDATE ledger SET outcome = r.outcome, inference = r.inference
            WHERE id = r.id AND kind = 2 AND settled_by = r.token;
            IF FOUND THEN
                INSERT INTO inferences SELECT l.inference, l.id, l.seq FROM ledger l
                WHERE l.id = r.id AND l.inference IS NOT NULL ON CONFLICT DO NOTHING;
                result := 'done';
            END IF;
        END IF;
        IF result = 'lost' THEN
            SELECT CASE WHEN resent AND d.state = r.outcome THEN 'done' ELSE 'lost' END INTO result
            FROM deliveries d WHERE d.id = r.id;
        END IF;
        place := r.place;
        result := coalesce(result, 'unknown');
        RETURN NEXT;
    END LOOP;
END
$$;

-- For handlers: settles a delivery as processed in the transaction of the caller. If the lease was lost, it raises an
-- error, and the transaction is rolled back with everything that the handler wrote. So its effects in this database happen
-- exactly once.
CREATE FUNCTION processed(delivery uuid, lease uuid, status integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    w work;
BEGIN
    IF status NOT BETWEEN 200 AND 299 THEN
        RAISE EXCEPTION 'status % is no success', status USING ERRCODE = 'invalid_parameter_value';
    END IF;
    w := lock_leased(delivery, processed.lease);
    IF w.id IS NULL THEN
        RAISE EXCEPTION 'lease of delivery % was lost', delivery;
    END IF;
    PERFORM settle(
        ARRAY[delivery], ARRAY[processed.lease], ARRAY[2::smallint], ARRAY['processed ' || status], ARRAY[NULL::bytea],
        ARRAY[false], ARRAY[0], ARRAY[0::bigint], false
    );
    UPDATE ledger SET settled_by = processed.lease WHERE ledger.id = delivery;
END
$$;

-- Requeues those of the deliveries that are dead, undecodable or failed, and match.
CREATE FUNCTION retry(ids uuid[], kinds smallint[], inference_id bytea) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    w work;
    one uuid;
    retried bigint := 0;
BEGIN
    PERFORM commit_durably();
    FOR one IN SELECT work.id FROM work WHERE work.id = ANY (ids) ORDER BY work.id LOOP
        w := lock_work(one);
        IF w.has_body AND w.kind IN (3, 4, 5) AND w.kind = ANY (kinds)
            AND (inference_id IS NULL OR substr(w.inference, 1, 12) = inference_id) THEN
            PERFORM requeue(w);
            retried := retried + 1;
        END IF;
    END LOOP;
    RETURN retried;
END
$$;

-- Removes the heads and bodies of those of the deliveries that match.
CREATE FUNCTION remove(ids uuid[], kinds smallint[], inference_id bytea) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    one uuid;
    removed bigint;
BEGIN
    PERFORM commit_durably();
    FOR one IN SELECT work.id FROM work WHERE work.id = ANY (ids) ORDER BY work.id LOOP
        PERFORM lock_work(one);
    END LOOP;
    WITH chosen AS (
        UPDATE ledger l SET has_body = false FROM deliveries d
        WHERE l.id = d.id AND d.id = ANY (ids) AND l.has_body AND d.has_body AND d.kind = ANY (kinds)
            AND (inference_id IS NULL OR substr(d.inference, 1, 12) = inference_id)
        RETURNING l.id, l.day, l.model, d.kind
    ), erased AS (
        DELETE FROM bodies b USING chosen c WHERE b.day = c.day AND b.id = c.id
    ), parked AS (
        UPDATE work w SET has_body = false, waits_for = NULL, due = CASE WHEN w.kind = 1 THEN w.due END
        FROM chosen c WHERE w.id = c.id
    ), counted AS (
        INSERT INTO count_changes
        SELECT CASE WHEN kind IN (4, 5) THEN '-infinity' ELSE day END, model, kind, -count(*) FROM chosen
        WHERE kind IN (2, 4, 5, 6) GROUP BY 1, 2, 3
    )
    SELECT count(*) INTO removed FROM chosen;
    RETURN removed;
END
$$;

CREATE VIEW current_counts AS
SELECT model, kind, sum(deliveries)::bigint AS deliveries, NULL::bigint AS oldest_ns FROM (
    SELECT model, kind, deliveries FROM counts
    UNION ALL
    SELECT model, kind, deliveries FROM count_changes
) settled GROUP BY model, kind
UNION ALL
SELECT model, kind_of(w, clock()), count(*) FILTER (WHERE has_body), min(received_ns) FROM work w
WHERE w.kind IN (0, 1, 3) GROUP BY 1, 2;

-- Counts expired leases as crashes, for deliveries that nobody claims. Returns their number.
CREATE FUNCTION expire_leases(most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    w work;
    expired integer := 0;
BEGIN
    PERFORM commit_fast();
    FOR w IN
        SELECT * FROM work WHERE work.kind = 1 AND work.due <= clock()
        ORDER BY work.due LIMIT most FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM crash(w);
        expired := expired + 1;
    END LOOP;
    RETURN expired;
END
$$;

-- The functions that clients call find the tables whatever the search path of the session is. Their plans are made once,
-- for tables of any size: `work` may be empty now and have a million rows in a minute.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'append', 'append_repeat', 'claim', 'acquire', 'renew', 'release', 'begin_inference', 'settle', 'retry', 'remove',
        'expire_leases', 'processed'
    ] LOOP
        EXECUTE format('ALTER FUNCTION %I SET search_path FROM CURRENT', name);
        EXECUTE format('ALTER FUNCTION %I SET plan_cache_mode = force_generic_plan', name);
        EXECUTE format('ALTER FUNCTION %I SET enable_seqscan = off', name);
        -- The estimated cost of a disabled scan would start the compiler.
        EXECUTE format('ALTER FUNCTION %I SET jit = off', name);
        -- Only `append` joins many rows, all of them of its own batch.
        IF name <> 'append' THEN
            EXECUTE format('ALTER FUNCTION %I SET enable_hashjoin = off', name);
            EXECUTE format('ALTER FUNCTION %I SET enable_mergejoin = off', name);
        END IF;
    END LOOP;
END
$$;
