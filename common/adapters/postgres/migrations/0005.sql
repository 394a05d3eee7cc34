-- 0005: what a process that is taken over may still write. tests/integration/test_database_refuses_forgers.py tries each.

-- The database ----------------------------------------------------------------------------------------------------------
-- A temporary table stands before ours under the same name, and a large object is a file of the server's: nothing here
-- makes either. Functions of the catalogue belong to a superuser; where none migrates, they stay as they are.
DO $$
BEGIN
    IF (SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()) THEN
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    END IF;
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        REVOKE EXECUTE ON FUNCTION lo_creat(int), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC;
    END IF;
END $$;

-- History (I2) ----------------------------------------------------------------------------------------------------------
-- `task_events` is named with its schema, so that no session's own table stands in for it. An event is of now, or nearly:
-- a statement takes 30 s at most, and the rest of the minute is for a clock that is set while it waits.

-- A task begins with its first event. The owner may bring in what has happened elsewhere: it could switch this off.
CREATE OR REPLACE FUNCTION tasks_equal_their_last_event() RETURNS trigger LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
BEGIN
    IF EXISTS (
        SELECT FROM changed t LEFT JOIN public.task_events e ON e.task_id = t.id AND e.seq = t.event_seq
        WHERE e.hash IS NULL OR e.hash <> t.event_head OR e.to_state <> t.state OR e.workspace <> t.workspace
        OR (t.event_seq <> 1 OR e.tx <> pg_current_xact_id() OR e.at < transaction_timestamp() - interval '1 min'
            OR e.at > clock_timestamp() + interval '1 min'
        ) AND NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE')
    ) THEN
        RAISE EXCEPTION 'a task differs from its last event' USING ERRCODE = '23514', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END $$;

-- Then it takes one event at a time, written in the same commit and standing on the head that was there; or none, and
-- keeps its head. A lease's number never falls (I3). What was and what is are joined by hash: as loops, that was 12 us
-- a task by 100. Each event is looked up by its key (OFFSET 0): a join could be planned as a walk over all of them.
CREATE FUNCTION tasks_go_on_by_one_event() RETURNS trigger LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_nestloop = off SET enable_mergejoin = off SET enable_seqscan = off
    SET enable_hashjoin = on
AS $$
BEGIN
    IF EXISTS (
        SELECT FROM changed t LEFT JOIN before o ON o.id = t.id LEFT JOIN LATERAL (
            SELECT e.hash, e.from_state, e.to_state, e.workspace, e.prev, e.tx, e.at
            FROM public.task_events e WHERE e.task_id = t.id AND e.seq = t.event_seq OFFSET 0
        ) e ON true
        WHERE (t.event_seq = o.event_seq AND e.hash = t.event_head AND e.to_state = t.state AND e.workspace = t.workspace
                OR t.event_seq = o.event_seq + 1 AND e.hash = t.event_head AND e.to_state = t.state
                AND e.workspace = t.workspace AND e.prev = o.event_head AND e.from_state = o.state
                AND e.tx = pg_current_xact_id() AND e.at >= transaction_timestamp() - interval '1 min'
                AND e.at <= clock_timestamp() + interval '1 min'
        ) IS NOT TRUE OR t.lease_no < o.lease_no
    ) THEN
        RAISE EXCEPTION 'a task differs from its last event' USING ERRCODE = '23514', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER tasks_updated_with_event ON tasks;
CREATE TRIGGER tasks_updated_with_event AFTER UPDATE ON tasks REFERENCING OLD TABLE AS before NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION tasks_go_on_by_one_event();

CREATE OR REPLACE FUNCTION make_gate_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.settings (workspace, name, version) VALUES (new.id, 'pause', 0), (new.id, 'policy', 0);
    RETURN NULL;
END $$;

-- by column: whose a task is, where it came from and what was asked are said once
REVOKE UPDATE ON tasks FROM aiw_app, aiw_approve;
GRANT UPDATE (state, kind, priority, economy, plan_number, attempts, replans, announced_seq, lease_no, worker_id,
    next_check_at, waiting_for, wait_until, batch, cancel_requested_at, cancel_requested_by, cancel_note, event_seq,
    event_head, finished_at) ON tasks TO aiw_app, aiw_approve;

-- Outcomes, approvals, tokens -------------------------------------------------------------------------------------------

-- A trigger's WHEN is judged where the row is written: a row that breaks no rule calls no function. AFTER, since BEFORE
-- would lock the row once more.

-- I6: what is known stays known. An unknown outcome is learnt once, late from its worker or by a person's word.
CREATE TRIGGER attempts_end_once AFTER UPDATE ON step_attempts FOR EACH ROW WHEN (
    old.outcome IS NOT NULL AND (new.outcome IS NULL OR old.outcome <> 'unknown' OR old.decided_by IS NOT NULL)
    AND (new.outcome, new.ended_at, new.decided_by, new.output::text, new.failure::text)
    IS DISTINCT FROM (old.outcome, old.ended_at, old.decided_by, old.output::text, old.failure::text)
) EXECUTE FUNCTION refuse_change();

-- I4: what is closed stays closed, and a validity that was given grows no longer.
CREATE TRIGGER approvals_close_once AFTER UPDATE ON approvals FOR EACH ROW WHEN (
    (old.closed_at IS NOT NULL AND new.closed_at IS DISTINCT FROM old.closed_at)
    OR (old.valid_until IS NOT NULL AND (new.valid_until IS NULL OR new.valid_until > old.valid_until))
) EXECUTE FUNCTION refuse_change();

-- who gave it to the person; NULL: this installation's owner. Of a session: who issued the code that it came of
ALTER TABLE tokens ADD COLUMN issued_by uuid REFERENCES people;
CREATE TRIGGER tokens_end_once AFTER UPDATE ON tokens FOR EACH ROW
    WHEN (old.revoked_at IS NOT NULL AND new.revoked_at IS DISTINCT FROM old.revoked_at)
    EXECUTE FUNCTION refuse_change();
REVOKE INSERT ON tokens FROM aiw_app;
GRANT INSERT (hash, kind, person, workspace, role, expires_at, issued_by) ON tokens TO aiw_app;

-- I4: whoever issued a token can hold its secret, and would approve with it what they asked for in another's name.
ALTER TABLE decisions
    ADD COLUMN issued_by uuid,  -- who issued the API token that decided; NULL: a session's, or the owner's
    ADD CONSTRAINT decisions_not_by_the_requesters_token CHECK (issued_by <> requested_by OR self_allowed);

UPDATE meta SET schema_version = 5;
