-- 0002: the Claude layer. What is analysed together, later and again; what it cost, and what each way of saving saved.

-- Tasks ---------------------------------------------------------------------------------------------------------------

ALTER TABLE tasks
    ADD COLUMN economy boolean NOT NULL DEFAULT false,  -- may take hours, at half the price
    ADD COLUMN batch uuid;  -- the call (a provider's batch) on which an `analyzing` task is parked, without a lease
ALTER TABLE tasks DROP CONSTRAINT tasks_leased;
ALTER TABLE tasks
    ADD CONSTRAINT tasks_leased CHECK (  -- I3
        (worker_id IS NOT NULL) = (state = 'running' OR (state = 'analyzing' AND batch IS NULL))),
    ADD CONSTRAINT tasks_parked_while_read CHECK (batch IS NULL OR state = 'analyzing');
CREATE INDEX tasks_parked ON tasks (batch) WHERE batch IS NOT NULL;
-- what is to be read at once is found beside any number of those that may wait, and they beside it
CREATE INDEX tasks_received_now ON tasks (workspace, claim_order) WHERE state = 'received' AND NOT economy;
CREATE INDEX tasks_received_economy ON tasks (workspace, claim_order) WHERE state = 'received' AND economy;

ALTER TABLE task_events DROP CONSTRAINT events_lifecycle;
-- One text array: PostgreSQL reads a CHECK anew for each statement that writes the table, and as rows of three texts this
-- one was an expression of 74 KB, a fifth of the database's time for a task that is alone (measured).
ALTER TABLE task_events ADD CONSTRAINT events_lifecycle CHECK (
    kind || ' ' || coalesce(from_state, '-') || ' ' || to_state = ANY ('{
    submitted - received, submitted - queued, submitted - awaiting_approval, analysis_started received analyzing,
    deferred received received, deferred analyzing received, batched analyzing analyzing,
    plan_decided received queued, plan_decided received awaiting_approval, plan_decided analyzing queued,
    plan_decided analyzing awaiting_approval, analysis_failed received manual, analysis_failed analyzing manual,
    approved awaiting_approval queued, rejected awaiting_approval cancelled,
    approval_expired awaiting_approval manual, reassessed awaiting_approval awaiting_approval,
    reassessed awaiting_approval queued, started queued running, approval_needed running awaiting_approval,
    snoozed running queued, retry_planned running queued, replanned running received, succeeded running succeeded,
    gave_up running manual, released analyzing received, released running queued, lease_lost analyzing received,
    lease_lost analyzing manual, lease_lost running queued, lease_lost running manual, retried manual queued,
    retried manual awaiting_approval, reanalyzed manual received, resolved manual succeeded,
    outcome_given manual queued, outcome_given manual awaiting_approval, outcome_given manual succeeded,
    cancelled received cancelled, cancelled analyzing cancelled, cancelled awaiting_approval cancelled,
    cancelled queued cancelled, cancelled running cancelled, cancelled manual cancelled
    }'::text[])
) NOT VALID;  -- it only adds to what held before: existing rows need no reading under a lock

-- Money ---------------------------------------------------------------------------------------------------------------

-- `baseline_cost`: what the naive call would have cost: the strong model, each task alone, nothing cached. What lies
-- between it and `cost` is split by lever, so that the four together are exactly the difference; one may be negative.
ALTER TABLE calls
    ADD COLUMN reason text NOT NULL DEFAULT 'first',  -- first, repair, confidence, stakes, failed_before, check …
    ADD COLUMN tasks int NOT NULL DEFAULT 1 CONSTRAINT calls_tasks CHECK (tasks >= 0),
    ADD COLUMN latency_ms int CONSTRAINT calls_latency CHECK (latency_ms >= 0),
    ADD COLUMN request_id text,
    ADD COLUMN saved_model bigint NOT NULL DEFAULT 0,  -- a smaller model than the strong one
    ADD COLUMN saved_prompt bigint NOT NULL DEFAULT 0,  -- the provider's prompt cache
    ADD COLUMN saved_pack bigint NOT NULL DEFAULT 0,  -- several tasks in one call
    ADD COLUMN saved_batch bigint NOT NULL DEFAULT 0,  -- the provider's batches, at half the price
    ADD COLUMN disagreements int NOT NULL DEFAULT 0  -- of tasks that were asked again as a check: those that differed
        CONSTRAINT calls_disagreements CHECK (disagreements BETWEEN 0 AND tasks),
    -- a provider's batch: the row is there before the request; `requests`: what each custom id asks, and for whom
    ADD COLUMN requests json,
    ADD COLUMN provider_batch_id text CONSTRAINT calls_provider_batch UNIQUE,
    ADD COLUMN api_key_fingerprint text,
    ADD COLUMN poll_at timestamptz,
    ADD CONSTRAINT calls_batch_of_a_key CHECK ((requests IS NULL) = (api_key_fingerprint IS NULL)),
    ADD CONSTRAINT calls_batch_has_requests CHECK (provider_batch_id IS NULL OR requests IS NOT NULL);
-- of several without an answer nobody could tell which batch is whose
CREATE UNIQUE INDEX calls_one_unanswered ON calls (api_key_fingerprint)
    WHERE requests IS NOT NULL AND provider_batch_id IS NULL AND state = 'reserved';
CREATE INDEX calls_polled ON calls (poll_at) WHERE requests IS NOT NULL AND state = 'reserved';
CREATE INDEX calls_of_month ON calls (workspace, month);
-- what a month's savings by the cache are counted from: ids are UUIDv7, so a month is a range of them
CREATE INDEX plans_from_cache ON plans (task_id) WHERE source = 'cached';

-- The state that people were last told of (normal, saving, exhausted); NULL: nothing yet, which is normal.
ALTER TABLE budgets ADD COLUMN announced text
    CONSTRAINT budgets_announced CHECK (announced IN ('normal', 'saving', 'exhausted'));

-- Answers -------------------------------------------------------------------------------------------------------------

-- What a request was understood to mean, by everything that the answer depended on. No column here permits anything:
-- policy decides anew at every hit (I10). `answer` NULL: somebody is asking, and others wait for it until `asked_until`.
CREATE TABLE analysis_cache (
    workspace uuid NOT NULL REFERENCES workspaces,
    key text NOT NULL CONSTRAINT analysis_cache_key CHECK (key ~ '^[0-9a-f]{64}$'),
    request text NOT NULL,  -- normalised, for people to look at
    prompt_version text NOT NULL,
    model text NOT NULL,
    answer json,
    cost bigint NOT NULL DEFAULT 0 CONSTRAINT analysis_cache_cost CHECK (cost >= 0),
    asked_by text,
    asked_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    hit_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    hits bigint NOT NULL DEFAULT 0,
    checks int NOT NULL DEFAULT 0,
    disagreements int NOT NULL DEFAULT 0 CONSTRAINT analysis_cache_disagreements CHECK (disagreements BETWEEN 0 AND checks),
    PRIMARY KEY (workspace, key),
    CONSTRAINT analysis_cache_asked CHECK ((answer IS NULL) = (asked_until IS NOT NULL))
);
CREATE INDEX analysis_cache_unused ON analysis_cache (hit_at);

GRANT SELECT ON analysis_cache TO aiw_app, aiw_approve;
GRANT INSERT, UPDATE, DELETE ON analysis_cache TO aiw_app;
-- the announcer says what it has told
GRANT UPDATE (announced) ON budgets TO aiw_approve;

UPDATE meta SET schema_version = 2;
