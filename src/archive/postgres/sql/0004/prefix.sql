-- Fingerprints are compared by their first 12 bytes, because that is what the archive on a disk keeps of a removed
-- delivery: `inbox copy` appends it with zeros instead of the rest. A chance of 2^-96 for two deliveries is negligible.
-- Appends wait while the index is built.
DROP INDEX ledger_first;
CREATE UNIQUE INDEX ledger_first ON ledger (substr(fingerprint, 1, 12)) WHERE is_first;

-- The functions that compare fingerprints, with these expressions instead. Their settings stay.
DO $$
DECLARE
    change text[];
    definition text;
BEGIN
    FOREACH change SLICE 1 IN ARRAY ARRAY[
        ARRAY[
            'append', 'ON CONFLICT (fingerprint) WHERE is_first',
            'ON CONFLICT (substr(fingerprint, 1, 12)) WHERE is_first'
        ],
        ARRAY['append_repeat', 'own <> p_fingerprint', 'substr(own, 1, 12) <> substr(p_fingerprint, 1, 12)'],
        ARRAY[
            'append_repeat', 'l.fingerprint = p_fingerprint',
            'substr(l.fingerprint, 1, 12) = substr(p_fingerprint, 1, 12)'
        ]
    ] LOOP
        definition := pg_get_functiondef(format('%I.%I', current_schema(), change[1])::regproc);
        IF position(change[2] IN definition) = 0 THEN
            RAISE EXCEPTION 'function % does not contain %', change[1], change[2];
        END IF;
        EXECUTE replace(definition, change[2], change[3]);
    END LOOP;
END
$$;
