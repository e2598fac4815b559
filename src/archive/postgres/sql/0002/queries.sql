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

-- The latest states of a delivery, oldest first.
CREATE FUNCTION history_of(p_id uuid, most integer) RETURNS TABLE (changed_us bigint, state text) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT to_us(l.changed_at), l.state FROM (
        SELECT h.number, h.changed_at, h.state FROM history h WHERE h.id = p_id
        UNION ALL
        SELECT NULL, l.settled_at, l.outcome FROM ledger l WHERE l.id = p_id AND l.settled_at IS NOT NULL
        ORDER BY number DESC NULLS FIRST LIMIT most
    ) l ORDER BY l.number;
END;

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

-- The body of a delivery is damaged: its bytes are stored again if they are received again, unless it is final.
CREATE FUNCTION mark_damaged(p_id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM commit_fast();
    UPDATE ledger SET is_first = false WHERE ledger.id = p_id AND ledger.is_first AND ledger.kind IS NULL;
END
$$;

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
