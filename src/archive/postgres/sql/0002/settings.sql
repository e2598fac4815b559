-- The functions that clients call have a search path of their own. Their plans are made once, for tables of any size:
-- `work` may be empty now and have a million rows in a minute.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'append', 'append_one', 'append_repeat', 'claim', 'acquire', 'renew', 'release', 'begin_inference', 'settle',
        'retry', 'remove', 'set_paused', 'mark_damaged', 'expire_leases', 'processed'
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
