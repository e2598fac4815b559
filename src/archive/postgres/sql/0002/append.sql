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

CREATE TYPE appended AS (
    place integer, delivery uuid, is_fresh boolean, state text, leased boolean, attempt integer, crashes integer
);

-- Stores one delivery unless another one has its fingerprint by now.
CREATE FUNCTION store_one(
    p_id uuid, p_fingerprint bytea, p_model text, p_received_ns bigint, p_digest bytea, p_head bytea, p_body bytea,
    p_token uuid, length_us bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    number bigint;
    body_day date := today();
BEGIN
    -- Takes the number after the lock on `ledger`, as `append` does.
    INSERT INTO ledger (id, seq, day, received_ns, length, model, fingerprint, digest)
    VALUES (
        p_id, nextval('append_order'), body_day, p_received_ns, length(p_body), p_model, p_fingerprint, p_digest
    )
    ON CONFLICT DO NOTHING RETURNING seq INTO number;
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

-- Appends one small delivery durably, in two thirds of the time that `append` takes for an array of one. Returns false if
-- another one has its fingerprint or its id, which `append` handles.
CREATE FUNCTION append_one(
    p_id uuid, p_fingerprint bytea, p_model text, p_received_ns bigint, p_digest bytea, p_head bytea, p_body bytea,
    p_token uuid, length_us bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM commit_durably();
    RETURN store_one(
        p_id, p_fingerprint, p_model, p_received_ns, p_digest, p_head, p_body, p_token, length_us
    );
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
        IF substr(own, 1, 12) <> substr(p_fingerprint, 1, 12) THEN
            RAISE EXCEPTION 'another delivery has the id %', p_id;
        END IF;
        SELECT l.id INTO first_id FROM ledger l
        WHERE substr(l.fingerprint, 1, 12) = substr(p_fingerprint, 1, 12) AND l.is_first;
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

-- Stores a batch. Fresh deliveries are inserted by one statement, which fails if another delivery has the id of one.
-- `resent`: the answer to the same batch was lost, so that its own rows may be there.
CREATE FUNCTION append(
    ids uuid[], fingerprints bytea[], models text[], received bigint[], digests bytea[], heads bytea[],
    contents bytea[], tokens uuid[], lengths_us bigint[], resent boolean
) RETURNS SETOF appended LANGUAGE plpgsql AS $$
DECLARE
    t timestamptz;
    body_day date := today();
    stored uuid[] := '{}';
    r record;
BEGIN
    PERFORM commit_durably();
    t := clock();
    IF NOT resent THEN
        -- Takes numbers after the lock on `ledger`, on which `append_position` relies.
        -- Without heads and bodies, which would exceed `work_mem` and be copied to a file.
        WITH sent AS MATERIALIZED (
            SELECT s.*, nextval('append_order') AS seq FROM (
                SELECT * FROM unnest(ids, fingerprints, models, received, digests, tokens, lengths_us)
                WITH ORDINALITY AS s (id, fingerprint, model, received_ns, digest, token, length_us, place)
                ORDER BY place
            ) s
        ), fresh AS (
            INSERT INTO ledger (id, seq, day, received_ns, length, model, fingerprint, digest)
            SELECT id, seq, body_day, received_ns, length(contents[place]), model, fingerprint, digest FROM sent
            -- In this order no two batches wait for each other.
            ORDER BY fingerprint, seq
            -- Names the index, so that the others are not searched first.
            ON CONFLICT (substr(fingerprint, 1, 12)) WHERE is_first DO NOTHING RETURNING id
        ), kept AS (
            INSERT INTO bodies SELECT body_day, id, heads[place], contents[place] FROM sent JOIN fresh USING (id)
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
        FROM unnest(ids, tokens) WITH ORDINALITY AS u (id, token, place) JOIN unnest(stored) AS s (id) USING (id);
    END IF;
    IF cardinality(stored) = cardinality(ids) THEN
        RETURN;
    END IF;
    -- The first delivery may be visible and not yet flushed or replicated, after a cancelled wait. This record makes
    -- the commit wait for everything before it.
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
