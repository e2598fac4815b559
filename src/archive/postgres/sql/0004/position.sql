-- The last number that was given to an append, and the transactions that may have made one up to it visible later: a
-- number may be committed after a greater one. A transaction locks `ledger` before it takes numbers, and holds that
-- lock until its rows are visible. So the number is read first.
CREATE FUNCTION append_position(OUT last_number bigint, OUT writers text[]) LANGUAGE plpgsql AS $$
BEGIN
    last_number := coalesce(pg_sequence_last_value('append_order'), 0);
    SELECT coalesce(array_agg(DISTINCT l.virtualtransaction), '{}') INTO writers FROM pg_locks l
    WHERE l.locktype = 'relation' AND l.relation = 'ledger'::regclass AND l.mode = 'RowExclusiveLock' AND l.granted
        AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
END
$$;
