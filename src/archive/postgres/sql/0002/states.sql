-- Version 2: the operations of the contract. Each is one transaction, and checks its precondition under a row lock.
--
-- Locks are taken in the order work, ledger, turns, and within a table in the order of the key. A delivery without a
-- row in `work` stays in its final state, so a row of `ledger` never has to be locked first.
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

-- Times in microseconds since 1970.
CREATE FUNCTION of_us(us bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE
RETURN timestamptz '1970-01-01 00:00:00Z' + us * interval '1 microsecond';
CREATE FUNCTION to_us(t timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (extract(epoch FROM t) * 1000000)::bigint;

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

-- Records a state in the history.
CREATE FUNCTION note_state(w work) RETURNS void LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO history (id, changed_at, state) VALUES (w.id, clock(), state_of(w, clock()));
END;

-- Keeps the latest states of a delivery. A sender can revive one any number of times; the number of attempts in between
-- is limited.
CREATE FUNCTION trim_history(p_id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM history h WHERE h.id = p_id AND h.number <= (
        SELECT l.number FROM history l WHERE l.id = p_id ORDER BY l.number DESC OFFSET 100 LIMIT 1
    );
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
    PERFORM note_state(crashed);
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
    IF revived THEN
        PERFORM trim_history(w.id);
    END IF;
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
    PERFORM note_state(queued);
    PERFORM trim_history(w.id);
    RETURN queued;
END
$$;
