-- Version 4: the capacity of a quarantine, copies of removed deliveries, and positions in the ledger.

-- If more than `most` pending and failed deliveries are stored, or more than `most_bytes` of their bodies, deletes the
-- oldest until at most `target` and `target_bytes` are left. The newest stays. Their ledger entries are deleted, too: a
-- delivery that is not settled and has no body is no reason to recognize a repeat. Returns the number.
CREATE FUNCTION trim_unsettled(most bigint, most_bytes bigint, target bigint, target_bytes bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    stored bigint;
    stored_bytes bigint;
    ids uuid[];
BEGIN
    PERFORM commit_fast();
    -- One at a time: of several nodes that have just appended, the last one counts the deliveries of all.
    PERFORM pg_advisory_xact_lock(hashtextextended(current_schema() || '.trim', 0));
    SELECT count(*), coalesce(sum(l.length), 0) INTO stored, stored_bytes
    FROM work w JOIN ledger l ON l.id = w.id WHERE w.kind IN (0, 3) AND w.has_body;
    IF stored <= most AND stored_bytes <= most_bytes THEN
        RETURN 0;
    END IF;
    SELECT array_agg(r.id) INTO ids FROM (
        SELECT w.id, row_number() OVER newest AS place, sum(l.length) OVER newest AS bytes
        FROM work w JOIN ledger l ON l.id = w.id WHERE w.kind IN (0, 3) AND w.has_body
        WINDOW newest AS (ORDER BY w.received_ns DESC, w.id DESC)
    ) r WHERE r.place > 1 AND (r.place > target OR r.bytes > target_bytes);
    -- Skips what is being claimed or removed.
    SELECT array_agg(c.id) INTO ids FROM (
        SELECT id FROM work WHERE id = ANY (ids) AND kind IN (0, 3) AND has_body ORDER BY id FOR UPDATE SKIP LOCKED
    ) c;
    DELETE FROM bodies b USING ledger l WHERE l.id = ANY (ids) AND b.day = l.day AND b.id = l.id;
    DELETE FROM work WHERE id = ANY (ids);
    DELETE FROM ledger WHERE id = ANY (ids);
    RETURN coalesce(cardinality(ids), 0);
END
$$;
