-- Version 1: tables. Names without a schema belong to the schema of the archive, which is first in the search path.

-- The current time. The only clock of leases, due times and retention, so that the clocks of nodes do not matter.
CREATE FUNCTION clock() RETURNS timestamptz LANGUAGE sql VOLATILE RETURN clock_timestamp();

CREATE SEQUENCE append_order;

-- One narrow row for each delivery. Updated when the delivery reaches a final state, and when its body is removed.
CREATE TABLE ledger (
    id uuid PRIMARY KEY,
    seq bigint NOT NULL,
    -- The partition of the body.
    day date NOT NULL,
    received_ns bigint NOT NULL,
    length integer NOT NULL,
    -- 2 processed, 6 repeat. NULL while the delivery has a row in `work`.
    kind smallint,
    -- Whether repeats are compared with this delivery.
    is_first boolean NOT NULL DEFAULT true,
    has_body boolean NOT NULL DEFAULT true,
    model text NOT NULL,
    fingerprint bytea NOT NULL,
    digest bytea NOT NULL,
    outcome text,
    inference bytea,
    -- When the delivery reached its final state.
    settled_at timestamptz,
    -- The lease under which a handler settled the delivery in its own transaction.
    settled_by uuid
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX ledger_seq ON ledger (seq);
-- Recognizes repeats across nodes. Not partitioned: a unique index of a partitioned table has to contain the day.
-- Fingerprints are compared by their first 12 bytes, because that is what the archive on a disk keeps of a removed
-- delivery: `inbox copy` appends it with zeros instead of the rest. A chance of 2^-96 for two deliveries is negligible.
CREATE UNIQUE INDEX ledger_first ON ledger (substr(fingerprint, 1, 12)) WHERE is_first;

CREATE TABLE bodies (
    day date NOT NULL,
    id uuid NOT NULL,
    head bytea NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (day, id)
) PARTITION BY RANGE (day);

-- PostgreSQL may be compiled without lz4.
DO $$
BEGIN
    ALTER TABLE bodies ALTER COLUMN body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END
$$;

-- One row for each delivery that is not in a final state.
CREATE TABLE work (
    id uuid PRIMARY KEY,
    seq bigint NOT NULL,
    received_ns bigint NOT NULL,
    model text NOT NULL,
    has_body boolean NOT NULL DEFAULT true,
    -- 0 pending, 1 leased, 3 failed, 4 dead, 5 undecodable.
    kind smallint NOT NULL,
    poisoned boolean NOT NULL DEFAULT false,
    -- The end of a lease, or the time of the next attempt. NULL: never.
    due timestamptz,
    lease uuid,
    attempts integer NOT NULL DEFAULT 0,
    crashes integer NOT NULL DEFAULT 0,
    outcome text,
    inference bytea,
    -- The inference that the lease is processing.
    flight bytea,
    -- The inference whose flight has to end first.
    waits_for bytea
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX work_ready ON work (model, due, id) WHERE kind IN (0, 3) AND crashes = 0;
CREATE INDEX work_suspect ON work (model, due, id) WHERE kind IN (0, 3) AND crashes > 0;
CREATE INDEX work_leased ON work (due) WHERE kind = 1;
CREATE INDEX work_unsettled ON work (seq) WHERE kind IN (0, 1, 3);
CREATE INDEX work_dead ON work (seq) WHERE kind IN (4, 5);
CREATE INDEX work_waiting ON work (waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX work_inference ON work (inference) WHERE inference IS NOT NULL;

-- The states of deliveries that were not final after an attempt or a retry. The final one is in `ledger`.
CREATE TABLE history (
    id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    changed_at timestamptz NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (id, number)
);

-- The processes that have the archive open.
CREATE TABLE nodes (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    version text NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Models whose deliveries are not claimed.
CREATE TABLE paused (model text PRIMARY KEY);

-- Single flight: the delivery and lease that process an inference. A row without a valid lease means nothing.
CREATE TABLE turns (
    key bytea PRIMARY KEY,
    id uuid NOT NULL,
    lease uuid NOT NULL
);

-- The deliveries that were processed as each inference. Never updated.
CREATE TABLE inferences (
    inference bytea NOT NULL,
    id uuid NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (inference, id)
);

-- The number of settled deliveries with a body. An aggregate of the ledger would cost more with every delivery, and one
-- counter for each model would make all nodes wait for each other. So each transaction inserts its changes, and
-- maintenance adds them up. Unsettled deliveries are counted in `work`.
-- The day is that of the body, because its partition is dropped; -infinity for dead and undecodable deliveries.
CREATE TABLE counts (
    day date NOT NULL,
    model text NOT NULL,
    kind smallint NOT NULL,
    deliveries bigint NOT NULL,
    PRIMARY KEY (day, model, kind)
);
CREATE TABLE count_changes (
    day date NOT NULL,
    model text NOT NULL,
    kind smallint NOT NULL,
    deliveries bigint NOT NULL
);

-- Bodies of final deliveries before this day were dropped with their partitions.
CREATE TABLE retention (bodies_from date NOT NULL);
INSERT INTO retention VALUES ('-infinity');
