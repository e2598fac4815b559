DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['trim_unsettled', 'append_position'] LOOP
        EXECUTE format('ALTER FUNCTION %I SET search_path FROM CURRENT', name);
    END LOOP;
    ALTER FUNCTION trim_unsettled SET jit = off;
END
$$;
