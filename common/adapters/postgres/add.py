"""Intake: a batch of submissions is one statement and one commit; each is stored whole or not at all (I1, I2)."""

# ruff: noqa: S608 - composed of constants of these modules; values are parameters

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final
from uuid import UUID

from common.adapters.postgres.connection import Database, DataError
from common.adapters.postgres.documents import ask_fields, document, foreign, plan_fields, uuids
from common.adapters.postgres.people import EFFECTIVE, VALID
from common.ports import KEYS_KEPT, MAY_SUBMIT, Added, AddRefused, NewTask, Submission

SUBMITTERS: Final = ", ".join(f"'{role}'" for role in MAY_SUBMIT)
KEPT: Final = f"interval '{KEYS_KEPT.days} days'"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Nothing begins before `not_before`, and nothing is looked at later than its deadline (I9).
FIRST_CHECK: Final = """CASE w.target
        WHEN 'queued' THEN least(greatest(w.now, w.not_before), w.deadline)
        WHEN 'received' THEN least(w.now, w.deadline)
        ELSE least(w.now + w.ask_expires_in * interval '1 s', w.deadline) END"""

# $1: submissions, $2: their tasks. The token is judged here, by the commit that believes it. Of two with one key the
# second inserts nothing; its answer is read by KNOWN, as this statement's snapshot cannot see a row that it waited for.
ADD: Final = f"""
WITH asked AS MATERIALIZED (
    SELECT s.*, k.person FROM json_to_recordset($1::json) AS s(
        n int, token text, workspace uuid, route text, key text, body text, ids uuid[])
    CROSS JOIN LATERAL (SELECT * FROM tokens t WHERE t.hash = s.token OFFSET 0) k
    JOIN memberships m ON m.workspace = k.workspace AND m.person = k.person
    WHERE k.workspace = s.workspace AND k.kind IN ('api', 'session') AND {VALID} AND {EFFECTIVE} IN ({SUBMITTERS})
), keyed AS (
    INSERT INTO idempotency_keys (workspace, principal, route, key, body_sha256, task_ids)
    SELECT workspace, person, route, key, body, ids FROM asked WHERE key IS NOT NULL
    ORDER BY workspace, person, route, key, n
    ON CONFLICT DO NOTHING RETURNING workspace, principal, route, key, task_ids
), stored AS MATERIALIZED (
    SELECT n FROM asked WHERE key IS NULL UNION ALL
    SELECT a.n FROM asked a JOIN keyed k ON (k.workspace, k.principal, k.route, k.key, k.task_ids)
        = (a.workspace, a.person, a.route, a.key, a.ids)
), wanted AS MATERIALIZED (
    -- one moment, in brackets taken once, for the last, and each a microsecond before the next: they keep their order,
    -- none is due later than now, and what is answered is what is stored
    SELECT w.*, (SELECT clock_timestamp()) - (count(*) OVER () - row_number() OVER ()) * interval '1 us' AS now
    FROM json_to_recordset($2::json) AS w(
        n int, id uuid, workspace uuid, target text, actor text, text text, inputs text, tags text[],
            not_before timestamptz,
        deadline timestamptz, lang text, requested_by uuid, origin text, kind text, priority int,
        priority_given boolean, economy boolean, plan_number int, plan_steps text, plan_last_step text,
            plan_risk_floor risk, plan_risk risk, plan_reasons text,
        plan_needs_approval boolean, plan_kept_steps int, plan_cost_cap bigint, plan_policy_version int,
            plan_source text,
        ask_digest text, ask_requested_by uuid, ask_required int, ask_expires_in float8)
    WHERE w.n = ANY (ARRAY(SELECT n FROM stored))
), written AS (
    INSERT INTO task_events (task_id, seq, workspace, kind, to_state, at, actor, lease_no)
    SELECT id, 1, workspace, 'submitted', target, now, actor, 0 FROM wanted
), planned AS (
    INSERT INTO plans (task_id, number, steps, last_step, risk_floor, risk, reasons, needs_approval, kept_steps,
        cost_cap,
        policy_version, source)
    SELECT id, plan_number, plan_steps::json, plan_last_step, plan_risk_floor, plan_risk, plan_reasons::json,
        plan_needs_approval,
        plan_kept_steps, plan_cost_cap, plan_policy_version, plan_source
    FROM wanted WHERE plan_number IS NOT NULL
), opened AS (
    INSERT INTO approvals (id, task_id, plan_number, digest, requested_by, required, expires_at)
    SELECT uuidv7(), id, plan_number, ask_digest, ask_requested_by, ask_required,
        now + ask_expires_in * interval '1 s'
    FROM wanted WHERE ask_digest IS NOT NULL
), made AS (
    INSERT INTO tasks (id, workspace, state, text, inputs, tags, not_before, deadline, lang, requested_by, origin, kind,
        priority, priority_given, economy, plan_number, next_check_at, waiting_for, event_seq, event_head)
    SELECT w.id, w.workspace, w.target, w.text, w.inputs::json, coalesce(w.tags, '{{}}'), w.not_before, w.deadline,
        w.lang, w.requested_by, w.origin, w.kind, w.priority, w.priority_given IS TRUE, w.economy IS TRUE,
        w.plan_number, {FIRST_CHECK},
        CASE WHEN w.target = 'queued' AND w.not_before > w.now THEN 'delay' END, 1,
        -- the same hash as the event's own; the trigger compares them (I2)
        event_hash(w.id, 1, w.workspace, pg_current_xact_id(), 'submitted', NULL, w.target, w.now, w.actor, 0, NULL,
            NULL)
    FROM wanted w
)
-- as microseconds: the driver reads a time by strptime, which costs more than the rest of the row
SELECT a.n, f.at FROM asked a LEFT JOIN (
    SELECT n, (extract(epoch FROM min(now)) * 1000000)::bigint AS at FROM wanted GROUP BY n) f ON f.n = a.n"""

# What the key's first submission stored. Older than KEYS_KEPT it no longer counts and is removed, and the caller adds
# again.
KNOWN: Final = f"""
WITH found AS (
    SELECT i.* FROM idempotency_keys i JOIN tokens k ON k.workspace = i.workspace AND k.person = i.principal
    WHERE k.hash = $1 AND i.route = $2 AND i.key = $3
), old AS (
    DELETE FROM idempotency_keys i USING found f WHERE f.created_at < now() - {KEPT}
    AND (i.workspace, i.principal, i.route, i.key, i.created_at) = (f.workspace, f.principal, f.route, f.key,
        f.created_at)
    RETURNING 1
) SELECT body_sha256, array_to_string(task_ids, ','), created_at < now() - {KEPT} FROM found"""

FORGET: Final = f"""
DELETE FROM idempotency_keys WHERE (workspace, principal, route, key) IN (
    SELECT workspace, principal, route, key FROM idempotency_keys WHERE created_at < now() - {KEPT}
    ORDER BY created_at LIMIT $1::int) RETURNING 1"""


def add(database: Database, batch: Sequence[Submission]) -> list[Added | AddRefused]:
    """See ports.Queue.add."""
    if not batch:
        return []
    try:
        rows = database.hot(ADD, _submissions(batch), _tasks(batch))
    except DataError:
        # one row that cannot be written must not take the others with it: find it by halves
        if len(batch) == 1:
            raise
        half = len(batch) // 2
        return [*add(database, batch[:half]), *add(database, batch[half:])]
    allowed = {n: None if micros is None else EPOCH + timedelta(microseconds=micros) for n, micros in rows}
    return [
        _answer(database, submission, allowed[n]) if n in allowed else AddRefused.TOKEN
        for n, submission in enumerate(batch)
    ]


def _answer(database: Database, submission: Submission, stored_at: datetime | None) -> Added | AddRefused:
    if stored_at is not None:
        return Added(tuple(task.id for task in submission.tasks), at=stored_at)
    found = known(database, submission)
    # None: it was forgotten at this moment, or is too old to count: the key is free again
    return add(database, [submission])[0] if found is None else found


def known(database: Database, submission: Submission) -> Added | AddRefused | None:
    """See ports.Queue.known."""
    rows = database.run(KNOWN, submission.token_sha256, submission.route, submission.key)
    if not rows or rows[0][2]:
        return None
    body, ids, _ = rows[0]
    if body != submission.body_sha256:
        return AddRefused.KEY_CONFLICT
    return Added(tuple(map(UUID, ids.split(","))), replayed=True)


def _submissions(batch: Sequence[Submission]) -> str:
    return document(
        [
            {
                "n": n,
                "token": s.token_sha256,
                "workspace": s.tasks[0].workspace if s.tasks else None,
                "route": s.route,
                "key": s.key,
                "body": s.body_sha256,
                "ids": uuids([task.id for task in s.tasks]),
            }
            for n, s in enumerate(batch)
        ]
    )


def _tasks(batch: Sequence[Submission]) -> str:
    return document([_task(n, task) for n, submission in enumerate(batch) for task in submission.tasks])


SELDOM: Final = ("tags", "not_before", "deadline", "priority_given")
MOSTLY: Final = ((), None, None, False)
_seldom: Final = attrgetter(*SELDOM)


def _task(n: int, task: NewTask) -> dict[str, object]:
    request = task.request
    row: dict[str, object] = {
        "n": n,
        "id": task.id,
        "workspace": task.workspace,
        "target": task.target.value,
        "actor": task.actor,
        "inputs": foreign(request.inputs),
        "lang": request.lang,
        "requested_by": request.requested_by,
        "origin": request.origin.value,
        "priority": task.priority,
        **plan_fields(task.plan),
        **ask_fields(task.ask),
    }
    # a key costs both sides its reading, in each row: what most requests do not say is left out
    if request.text is not None:
        row["text"] = request.text
    if _seldom(request) != MOSTLY:
        row.update(zip(SELDOM, _seldom(request), strict=True))
    if task.kind is not None:
        row["kind"] = task.kind
    if task.economy:
        row["economy"] = True
    return row
