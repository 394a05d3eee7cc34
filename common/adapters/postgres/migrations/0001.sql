-- The data model. What the database itself refuses is said here, once; tests/integration/test_database_refuses.py tries
-- each. Money is integer nanodollars, times are of this server's clock, ids UUIDv7. Foreign content is `json`, never
-- `jsonb`: it comes back byte for byte, and an escaped NUL inside of it is legal.

CREATE TYPE risk AS ENUM ('low', 'medium', 'high', 'critical');  -- ordered: the comparisons below rely on it

CREATE TABLE meta (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    schema_version int NOT NULL,
    min_code int NOT NULL  -- code that knows no schema from this one on must not run
);

-- Who ----------------------------------------------------------------------------------------------------------------

CREATE TABLE workspaces (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    name text NOT NULL CONSTRAINT workspaces_name_unique UNIQUE CHECK (name <> '')
);

CREATE TABLE people (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    name text NOT NULL CHECK (name <> '')
);

CREATE TABLE memberships (
    person uuid NOT NULL REFERENCES people,
    workspace uuid NOT NULL REFERENCES workspaces,
    role text NOT NULL CONSTRAINT memberships_role CHECK (role IN ('viewer', 'operator', 'approver', 'admin')),
    PRIMARY KEY (workspace, person)
);

CREATE TABLE tokens (
    hash text PRIMARY KEY CONSTRAINT tokens_only_hashes CHECK (hash ~ '^[0-9a-f]{64}$'),
    kind text NOT NULL CONSTRAINT tokens_kind CHECK (kind IN ('api', 'session', 'sign_in_code')),
    person uuid NOT NULL REFERENCES people,
    workspace uuid NOT NULL REFERENCES workspaces,
    role text NOT NULL CONSTRAINT tokens_role CHECK (role IN ('viewer', 'operator', 'approver', 'admin')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz,
    -- a session is an expiring token, and so is a code
    CONSTRAINT tokens_expire CHECK (kind = 'api' OR expires_at IS NOT NULL)
);
CREATE INDEX tokens_of_person ON tokens (workspace, person);

-- Settings -----------------------------------------------------------------------------------------------------------

-- NULL workspace: the installation. NULL value: the row is there to be locked and counted, its value is inherited.
CREATE TABLE settings (
    workspace uuid REFERENCES workspaces,
    name text NOT NULL,
    version int NOT NULL CHECK (version >= 0),
    value json,
    locked_at timestamptz,  -- never written: the column whose UPDATE right lets a role lock the row FOR SHARE
    CONSTRAINT settings_unique UNIQUE NULLS NOT DISTINCT (workspace, name)
);

CREATE TABLE setting_versions (
    workspace uuid REFERENCES workspaces,
    name text NOT NULL,
    version int NOT NULL,
    value json,
    by uuid REFERENCES people,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT setting_versions_unique UNIQUE NULLS NOT DISTINCT (workspace, name, version)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is never changed', TG_TABLE_NAME USING ERRCODE = '23514', CONSTRAINT = TG_NAME;
END $$;

CREATE TRIGGER setting_versions_immutable BEFORE UPDATE OR DELETE ON setting_versions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
-- `pause` and `policy` rows always exist, so that the gate can lock them
CREATE TRIGGER settings_gate_rows_stay BEFORE DELETE ON settings
    FOR EACH ROW WHEN (old.name IN ('pause', 'policy')) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER settings_name_stays BEFORE UPDATE ON settings
    FOR EACH ROW WHEN (old.name <> new.name OR old.workspace IS DISTINCT FROM new.workspace) EXECUTE FUNCTION refuse_change();

CREATE FUNCTION make_gate_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO settings (workspace, name, version) VALUES (new.id, 'pause', 0), (new.id, 'policy', 0);
    RETURN NULL;
END $$;
CREATE TRIGGER workspaces_have_gate_rows AFTER INSERT ON workspaces FOR EACH ROW EXECUTE FUNCTION make_gate_rows();
INSERT INTO settings (workspace, name, version) VALUES (NULL, 'pause', 0), (NULL, 'policy', 0);

-- Intake -------------------------------------------------------------------------------------------------------------

CREATE TABLE idempotency_keys (
    workspace uuid NOT NULL,
    principal uuid NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    body_sha256 text NOT NULL,
    task_ids uuid[] NOT NULL,
    status int NOT NULL DEFAULT 201,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace, principal, route, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);  -- retention: kept 7 days

-- Tasks and their history ----------------------------------------------------------------------------------------------

CREATE TABLE tasks (
    id uuid PRIMARY KEY,
    workspace uuid NOT NULL,
    state text NOT NULL CONSTRAINT tasks_state CHECK (state IN (
        'received', 'analyzing', 'awaiting_approval', 'queued', 'running', 'manual', 'succeeded', 'cancelled')),
    -- the request, as it was asked
    text text,
    inputs json NOT NULL,
    tags text[] NOT NULL DEFAULT '{}',
    not_before timestamptz,
    deadline timestamptz,
    lang text NOT NULL,
    requested_by uuid NOT NULL,
    origin text NOT NULL CONSTRAINT tasks_origin CHECK (origin IN ('person', 'token', 'derived')),
    -- what became of it
    kind text,
    priority smallint NOT NULL CONSTRAINT tasks_priority CHECK (priority BETWEEN 0 AND 9),
    priority_given boolean NOT NULL DEFAULT false,  -- by the requester: the model's counts only otherwise
    plan_number int,
    attempts int NOT NULL DEFAULT 0 CONSTRAINT tasks_attempts CHECK (attempts >= 0),
    replans int NOT NULL DEFAULT 0 CONSTRAINT tasks_replans CHECK (replans >= 0),
    announced_seq int NOT NULL DEFAULT 0,
    lease_no int NOT NULL DEFAULT 0 CONSTRAINT tasks_lease_no CHECK (lease_no >= 0),  -- the fencing token (I3)
    worker_id text,
    next_check_at timestamptz,
    -- when it became ready, minus 60 s a level of priority, so that nothing starves; an interval, since a difference of
    -- times is immutable and a time minus an interval is not
    claim_order interval GENERATED ALWAYS AS
        (next_check_at - timestamptz '2000-01-01 00:00:00+00' - priority * interval '60 s') STORED,
    waiting_for text,
    wait_until timestamptz,
    cancel_requested_at timestamptz,
    cancel_requested_by text,  -- whose the `cancelled` event is, though a worker carries it out
    cancel_note text,
    event_seq int NOT NULL,
    event_head bytea NOT NULL,
    finished_at timestamptz,
    CONSTRAINT tasks_looked_at_again CHECK ((state IN ('succeeded', 'cancelled')) = (next_check_at IS NULL)),  -- I9
    CONSTRAINT tasks_finished_at CHECK ((state IN ('succeeded', 'cancelled')) = (finished_at IS NOT NULL)),
    CONSTRAINT tasks_have_a_plan CHECK (state NOT IN ('awaiting_approval', 'queued', 'running') OR plan_number IS NOT NULL),
    CONSTRAINT tasks_cancel_has_an_actor CHECK ((cancel_requested_at IS NULL) = (cancel_requested_by IS NULL)),
    CONSTRAINT tasks_leased CHECK ((worker_id IS NOT NULL) = (state IN ('running', 'analyzing')))  -- I3
) WITH (
    -- room for a task's next version on its own page; a queue's churn is vacuumed by count, not by share of the table
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_insert_scale_factor = 0.2
);
CREATE INDEX tasks_queued ON tasks (workspace, claim_order) WHERE state = 'queued';
CREATE INDEX tasks_received ON tasks (workspace, claim_order) WHERE state = 'received';
-- what maintenance looks for; queued and received are claimed instead, and a backlog of them must not stand in front
CREATE INDEX tasks_due ON tasks (next_check_at)
    WHERE state IN ('analyzing', 'awaiting_approval', 'running', 'manual');
CREATE INDEX tasks_listed ON tasks (workspace, id);
-- the rare states people filter by, beside any number of succeeded ones
CREATE INDEX tasks_rare ON tasks (workspace, state, id) WHERE state IN ('awaiting_approval', 'manual', 'cancelled');
CREATE INDEX tasks_untold ON tasks (id) WHERE state IN ('awaiting_approval', 'manual') AND announced_seq < event_seq;

-- The chain's one rule: every column but `detail` is hashed, NULLs told apart. `kind`, `from_state` and `to_state` come
-- from a closed set without blanks; `actor` is last, so its length needs no mark.
CREATE FUNCTION event_hash(
    task_id uuid, seq int, workspace uuid, tx xid8, kind text, from_state text, to_state text, at timestamptz, actor text,
    lease_no int, detail_sha256 bytea, prev bytea
) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    sha256(
        uuid_send(task_id) || int4send(seq) || uuid_send(workspace) || xid8send(tx) || timestamptz_send(at)
        || int4send(lease_no)
        || coalesce('\x01'::bytea || detail_sha256, '\x00'::bytea) || coalesce('\x01'::bytea || prev, '\x00'::bytea)
        || decode(kind || ' ' || coalesce(from_state, '-') || ' ' || to_state || ' ' || replace(actor, '\', '\\'), 'escape')
    );

CREATE TABLE task_events (
    task_id uuid NOT NULL,
    seq int NOT NULL,
    workspace uuid NOT NULL,
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    kind text NOT NULL,
    from_state text,
    to_state text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    lease_no int NOT NULL,
    detail json,
    detail_sha256 bytea,
    prev bytea,
    hash bytea GENERATED ALWAYS AS (event_hash(
        task_id, seq, workspace, tx, kind, from_state, to_state, at, actor, lease_no, detail_sha256, prev)) STORED,
    PRIMARY KEY (task_id, seq),
    CONSTRAINT events_first CHECK ((seq = 1) = (from_state IS NULL)),
    CONSTRAINT events_chained CHECK ((seq = 1) = (prev IS NULL)),
    -- an erased detail keeps its hash
    CONSTRAINT events_detail_hashed CHECK (detail IS NULL OR detail_sha256 = sha256(convert_to(detail::text, 'UTF8'))),
    -- the lifecycle table; a test holds it to common/core/lifecycle.py. `-`: a NULL in a row comparison would pass
    CONSTRAINT events_lifecycle CHECK ((kind, coalesce(from_state, '-'), to_state) IN (
        ('submitted', '-', 'received'), ('submitted', '-', 'queued'), ('submitted', '-', 'awaiting_approval'),
        ('analysis_started', 'received', 'analyzing'),
        ('deferred', 'received', 'received'), ('deferred', 'analyzing', 'received'),
        ('plan_decided', 'received', 'queued'), ('plan_decided', 'received', 'awaiting_approval'),
        ('plan_decided', 'analyzing', 'queued'), ('plan_decided', 'analyzing', 'awaiting_approval'),
        ('analysis_failed', 'received', 'manual'), ('analysis_failed', 'analyzing', 'manual'),
        ('approved', 'awaiting_approval', 'queued'), ('rejected', 'awaiting_approval', 'cancelled'),
        ('approval_expired', 'awaiting_approval', 'manual'),
        ('reassessed', 'awaiting_approval', 'awaiting_approval'), ('reassessed', 'awaiting_approval', 'queued'),
        ('started', 'queued', 'running'), ('approval_needed', 'running', 'awaiting_approval'),
        ('snoozed', 'running', 'queued'), ('retry_planned', 'running', 'queued'), ('replanned', 'running', 'received'),
        ('succeeded', 'running', 'succeeded'), ('gave_up', 'running', 'manual'),
        ('released', 'analyzing', 'received'), ('released', 'running', 'queued'),
        ('lease_lost', 'analyzing', 'received'), ('lease_lost', 'analyzing', 'manual'),
        ('lease_lost', 'running', 'queued'), ('lease_lost', 'running', 'manual'),
        ('retried', 'manual', 'queued'), ('retried', 'manual', 'awaiting_approval'),
        ('reanalyzed', 'manual', 'received'), ('resolved', 'manual', 'succeeded'),
        ('outcome_given', 'manual', 'queued'), ('outcome_given', 'manual', 'awaiting_approval'),
        ('outcome_given', 'manual', 'succeeded'),
        ('cancelled', 'received', 'cancelled'), ('cancelled', 'analyzing', 'cancelled'),
        ('cancelled', 'awaiting_approval', 'cancelled'), ('cancelled', 'queued', 'cancelled'),
        ('cancelled', 'running', 'cancelled'), ('cancelled', 'manual', 'cancelled')))
);
CREATE INDEX task_events_stream ON task_events (workspace, tx);  -- live streams read up to pg_snapshot_xmin
CREATE INDEX task_events_submitted ON task_events (workspace, at) WHERE seq = 1;  -- since, until
-- a shortened id, by its last eight digits backwards; here and not on tasks, whose every transition would write it again
CREATE INDEX task_events_ending ON task_events ((reverse(right(task_id::text, 8))) text_pattern_ops) WHERE seq = 1;

CREATE TRIGGER events_never_deleted BEFORE DELETE ON task_events FOR EACH ROW EXECUTE FUNCTION refuse_change();
-- xid8 has no function of its own to compare by value inside a row comparison; IS DISTINCT FROM has
CREATE TRIGGER events_only_detail_is_erased BEFORE UPDATE ON task_events FOR EACH ROW WHEN (
    new.detail IS NOT NULL
    OR (new.task_id, new.seq, new.workspace, new.tx, new.kind, new.from_state, new.to_state, new.at, new.actor,
        new.lease_no, new.detail_sha256, new.prev)
    IS DISTINCT FROM
       (old.task_id, old.seq, old.workspace, old.tx, old.kind, old.from_state, old.to_state, old.at, old.actor,
        old.lease_no, old.detail_sha256, old.prev)
) EXECUTE FUNCTION refuse_change();

-- I2: each new row of `tasks` equals its last event. The planner is told to look each event up: a plan made while the
-- table was empty would otherwise read all of it for ever.
CREATE FUNCTION tasks_equal_their_last_event() RETURNS trigger LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
BEGIN
    IF EXISTS (
        SELECT FROM changed t LEFT JOIN task_events e ON e.task_id = t.id AND e.seq = t.event_seq
        WHERE e.hash IS NULL OR e.hash <> t.event_head OR e.to_state <> t.state OR e.workspace <> t.workspace
    ) THEN
        RAISE EXCEPTION 'a task differs from its last event' USING ERRCODE = '23514', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tasks_inserted_with_event AFTER INSERT ON tasks REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION tasks_equal_their_last_event();
CREATE TRIGGER tasks_updated_with_event AFTER UPDATE ON tasks REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION tasks_equal_their_last_event();

-- Plans, approvals, attempts -------------------------------------------------------------------------------------------

CREATE TABLE plans (
    task_id uuid NOT NULL,
    number int NOT NULL CONSTRAINT plans_number CHECK (number >= 1),
    steps json NOT NULL,  -- never looked into by SQL: an escaped NUL may be in it
    last_step text NOT NULL,  -- whose output is the task's result
    risk_floor risk NOT NULL,
    risk risk NOT NULL,
    reasons json NOT NULL,
    needs_approval boolean NOT NULL,
    kept_steps int NOT NULL DEFAULT 0 CONSTRAINT plans_kept_steps CHECK (kept_steps >= 0),
    cost_cap bigint CONSTRAINT plans_cost_cap CHECK (cost_cap >= 0),
    policy_version int NOT NULL,
    source text NOT NULL,
    PRIMARY KEY (task_id, number),
    CONSTRAINT plans_never_below_the_floor CHECK (risk >= risk_floor)  -- I5
);
CREATE TRIGGER plans_immutable BEFORE UPDATE OR DELETE ON plans FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE approvals (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    task_id uuid NOT NULL,
    plan_number int NOT NULL,
    digest text NOT NULL,
    requested_by uuid NOT NULL,
    required int NOT NULL DEFAULT 1 CONSTRAINT approvals_required CHECK (required >= 1),
    expires_at timestamptz NOT NULL,
    valid_until timestamptz,  -- set by the last required decision
    closed_at timestamptz,  -- approved and spent, rejected, expired, replaced, revoked
    CONSTRAINT approvals_requester UNIQUE (id, requested_by)
);
CREATE UNIQUE INDEX approvals_one_open ON approvals (task_id) WHERE closed_at IS NULL;

CREATE TABLE decisions (
    approval_id uuid NOT NULL,
    person uuid NOT NULL REFERENCES people,
    requested_by uuid NOT NULL,
    self_allowed boolean NOT NULL,
    verdict text NOT NULL CONSTRAINT decisions_verdict CHECK (verdict IN ('approved', 'rejected')),
    digest text NOT NULL,
    note text,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT decisions_once PRIMARY KEY (approval_id, person),
    CONSTRAINT decisions_not_by_the_requester CHECK (person <> requested_by OR self_allowed),
    CONSTRAINT decisions_of_this_requester FOREIGN KEY (approval_id, requested_by) REFERENCES approvals (id, requested_by)
);
CREATE TRIGGER decisions_immutable BEFORE UPDATE OR DELETE ON decisions FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Begin, end and result of an attempt are one row. `none`: nothing leaves the installation, the row is made whole at the end.
CREATE TABLE step_attempts (
    task_id uuid NOT NULL,
    step_id text NOT NULL,
    number int NOT NULL CONSTRAINT attempts_number CHECK (number >= 1),
    plan_number int NOT NULL,
    lease_no int NOT NULL,
    effect text NOT NULL CONSTRAINT attempts_effect CHECK (effect IN ('none', 'idempotent', 'non_idempotent')),
    idempotency_key text NOT NULL,
    args_sha256 text NOT NULL,
    approval_id uuid,
    needed_approval boolean NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    must_end_by timestamptz,
    ended_at timestamptz,
    outcome text CONSTRAINT attempts_outcome CHECK (outcome IN ('done', 'not_done', 'unknown')),
    output json,
    failure json,
    reported_late boolean NOT NULL DEFAULT false,
    decided_by text,
    PRIMARY KEY (task_id, step_id, number),
    CONSTRAINT attempts_under_approval CHECK (NOT needed_approval OR approval_id IS NOT NULL),  -- I4
    CONSTRAINT attempts_ended CHECK ((outcome IS NULL) = (ended_at IS NULL)),
    CONSTRAINT attempts_have_a_limit CHECK (effect = 'none' OR must_end_by IS NOT NULL)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);
-- I6: what may have happened is not begun again
CREATE UNIQUE INDEX attempts_never_again ON step_attempts (task_id, step_id)
    WHERE outcome IS NULL OR outcome = 'done' OR (outcome = 'unknown' AND effect = 'non_idempotent');

-- Money ----------------------------------------------------------------------------------------------------------------

CREATE TABLE budgets (
    workspace uuid,  -- NULL: the installation
    month date NOT NULL CONSTRAINT budgets_month CHECK (extract(day FROM month) = 1),
    cap bigint NOT NULL CONSTRAINT budgets_cap CHECK (cap >= 0),
    reserved bigint NOT NULL DEFAULT 0 CONSTRAINT budgets_reserved CHECK (reserved >= 0),
    spent bigint NOT NULL DEFAULT 0 CONSTRAINT budgets_spent CHECK (spent >= 0),
    CONSTRAINT budgets_unique UNIQUE NULLS NOT DISTINCT (workspace, month)
);

CREATE TABLE calls (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace uuid NOT NULL,
    month date NOT NULL,  -- the budget that it was reserved in
    purpose text NOT NULL,
    model text NOT NULL,
    prompt_version text NOT NULL,
    reserved bigint NOT NULL CONSTRAINT calls_reserved CHECK (reserved > 0),
    state text NOT NULL DEFAULT 'reserved'
        CONSTRAINT calls_state CHECK (state IN ('reserved', 'settled', 'voided', 'assumed_billed')),
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cache_read_tokens bigint NOT NULL DEFAULT 0,
    cache_write_tokens bigint NOT NULL DEFAULT 0,
    cost bigint CONSTRAINT calls_cost CHECK (cost >= 0),
    baseline_cost bigint,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    deadline timestamptz NOT NULL,
    CONSTRAINT calls_cost_known CHECK ((state = 'reserved') = (cost IS NULL))
);
CREATE INDEX calls_unsettled ON calls (deadline) WHERE state = 'reserved';

CREATE TABLE call_tasks (
    call_id uuid NOT NULL REFERENCES calls,
    task_id uuid NOT NULL,
    PRIMARY KEY (call_id, task_id)
);
CREATE INDEX call_tasks_of_task ON call_tasks (task_id);

-- Roles ----------------------------------------------------------------------------------------------------------------
-- Beside the owner: `aiw_approve` alone inserts decisions and says until when one is valid; `aiw_app` serves the rest.
-- Nobody may delete history; of events only `detail` may be set to NULL (the trigger above).

GRANT SELECT ON ALL TABLES IN SCHEMA public TO aiw_app, aiw_approve;
GRANT INSERT, UPDATE ON tasks TO aiw_app, aiw_approve;
GRANT INSERT, UPDATE (detail) ON task_events TO aiw_app, aiw_approve;
GRANT INSERT ON plans TO aiw_app, aiw_approve;
GRANT INSERT (id, task_id, plan_number, digest, requested_by, required, expires_at), UPDATE (closed_at) ON approvals
    TO aiw_app, aiw_approve;
GRANT UPDATE (valid_until) ON approvals TO aiw_approve;
GRANT INSERT ON decisions TO aiw_approve;
GRANT INSERT, UPDATE (ended_at, outcome, output, failure, reported_late, decided_by) ON step_attempts TO aiw_app, aiw_approve;
GRANT INSERT, DELETE ON idempotency_keys TO aiw_app;
GRANT INSERT, UPDATE ON budgets, calls TO aiw_app;
GRANT INSERT ON call_tasks TO aiw_app;
-- one column of each table that the gate locks FOR SHARE: PostgreSQL asks for it
GRANT UPDATE (locked_at) ON settings TO aiw_approve;
GRANT INSERT, UPDATE (version, value, locked_at) ON settings TO aiw_app;
GRANT INSERT ON setting_versions, people TO aiw_app;
GRANT INSERT, DELETE, UPDATE (role) ON memberships TO aiw_app;
GRANT INSERT, UPDATE (revoked_at) ON tokens TO aiw_app;

INSERT INTO meta (schema_version, min_code) VALUES (1, 1);
