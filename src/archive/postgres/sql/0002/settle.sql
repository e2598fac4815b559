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
    PERFORM note_state(w);
    RETURN true;
END
$$;

-- Records outcomes, at most one for each delivery: done, lost, unknown. `resent`: the answer to an earlier attempt was
-- lost, so an outcome that is already recorded is done.
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
    IF resent THEN
        -- What is recorded already may not be flushed or replicated yet, see `append`.
        PERFORM pg_logical_emit_message(true, 'inbox', '');
    END IF;
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
        UPDATE ledger l SET kind = s.kind, outcome = s.outcome, inference = s.inference, settled_at = t
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
-- error, and the transaction is rolled back with everything that the handler wrote. So its effects in this database
-- happen exactly once.
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
        ARRAY[delivery], ARRAY[processed.lease], ARRAY[2::smallint], ARRAY['processed ' || status],
        ARRAY[NULL::bytea], ARRAY[false], ARRAY[0], ARRAY[0::bigint], false
    );
    UPDATE ledger SET settled_by = processed.lease WHERE ledger.id = delivery;
END
$$;
