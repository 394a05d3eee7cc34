"""Claims: the one place that decides order and fairness, and the leases that they hand out (I3)."""

# ruff: noqa: S608 - composed of constants of these modules; values are parameters

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from common.adapters.postgres.apply import applied_of, apply, call_of
from common.adapters.postgres.connection import Database, DataError
from common.adapters.postgres.documents import document, plain, uuids
from common.adapters.postgres.rows import BARE_TASKS, CLAIMED_TASK, JOIN_PLAN, TASKS, tasks_from
from common.core.lifecycle import GRACE, NextStep, Transition
from common.core.task import State, Task
from common.ports import Claim

EPOCH: Final = "timestamptz '2000-01-01 00:00:00+00'"  # of `claim_order`, as in the migration

NOT_PAUSED: Final = """AND NOT EXISTS (
        SELECT FROM settings s WHERE s.name = 'pause' AND s.value IS NOT NULL AND (s.workspace = w.id
            OR s.workspace IS NULL))"""

# One LATERAL a workspace with something due, each for its share: with one LIMIT for all, one workspace took 100 of 100.
# Both look in the order of their index: a plan that has to sort is refused (connection.HOT), whatever it seemed to
# cost.
# `claim_order` is at most `next_check_at`, so its bound ends the index scan before a backlog of delayed tasks.
# $1: worker, $2: limit, $3: lease in seconds, $4: workspaces that are left out.
CLAIM: Final = """
WITH ready AS MATERIALIZED (
    SELECT w.id FROM workspaces w CROSS JOIN LATERAL (
        SELECT FROM tasks t WHERE t.workspace = w.id AND t.state = '{source}'
        AND t.claim_order <= statement_timestamp() - {epoch} AND t.next_check_at <= statement_timestamp()
        ORDER BY t.claim_order LIMIT 1
    ) one WHERE w.id <> ALL ($4::uuid[]) {paused}
), chosen AS MATERIALIZED (
    SELECT c.*, clock_timestamp() AS now FROM ready r CROSS JOIN LATERAL (
        SELECT t.id, t.workspace, t.claim_order, t.event_seq + 1 AS seq, t.event_head, t.lease_no + 1 AS lease_no
        FROM tasks t WHERE t.workspace = r.id AND t.state = '{source}'
        AND t.claim_order <= statement_timestamp() - {epoch} AND t.next_check_at <= statement_timestamp()
        ORDER BY t.claim_order
        LIMIT (SELECT greatest(1, ceil($2::int::float8 / nullif(count(*), 0)))::int FROM ready)
        FOR NO KEY UPDATE SKIP LOCKED
    ) c ORDER BY c.claim_order LIMIT $2::int
), written AS (
    INSERT INTO task_events (task_id, seq, workspace, kind, from_state, to_state, at, actor, lease_no, prev)
    SELECT id, seq, workspace, '{kind}', '{source}', '{target}', now, $1, lease_no, event_head FROM chosen
    RETURNING task_id, seq, lease_no, at, hash
), t AS (
    UPDATE tasks t SET state = '{target}', event_seq = e.seq, event_head = e.hash, lease_no = e.lease_no,
        worker_id = $1, waiting_for = NULL, next_check_at = e.at + $3::float8 * interval '1 s'
    FROM written e WHERE t.id = ANY (ARRAY[e.task_id]) RETURNING t.*, old.claim_order AS place
)
SELECT string_agg(one.task, ',') FROM (SELECT {task} AS task FROM t {plan} ORDER BY t.place, t.id) one
HAVING count(*) > 0"""

CLAIMS: Final = {
    State.RECEIVED: CLAIM.format(
        source="received",
        target="analyzing",
        kind="analysis_started",
        epoch=EPOCH,
        paused="",
        task=CLAIMED_TASK,
        plan=JOIN_PLAN,
    ),
    State.QUEUED: CLAIM.format(
        source="queued",
        target="running",
        kind="started",
        epoch=EPOCH,
        paused=NOT_PAUSED,
        task=CLAIMED_TASK,
        plan=JOIN_PLAN,
    ),
}

# The first that is not due yet, by `claim_order`; an earlier time can only be that of one with a `claim_order` up to
# it,
# and no priority moves one by more than 540 s.
NEXT_DUE: Final = """
SELECT extract(epoch FROM min(best.at) - clock_timestamp())::float8 FROM workspaces w, LATERAL (
    SELECT t.next_check_at AS at FROM tasks t WHERE t.workspace = w.id AND t.state = '{source}'
    AND t.claim_order > statement_timestamp() - {epoch} - interval '540 s' AND t.next_check_at > statement_timestamp()
    ORDER BY t.claim_order LIMIT 1
) first, LATERAL (
    SELECT min(near.at) AS at FROM (
        SELECT t.next_check_at AS at FROM tasks t WHERE t.workspace = w.id AND t.state = '{source}'
        AND t.claim_order BETWEEN statement_timestamp() - {epoch} - interval '540 s' AND first.at - {epoch}
        AND t.next_check_at > statement_timestamp() ORDER BY t.claim_order LIMIT 1000
    ) near
) best"""
NEXT_DUES: Final = {state: NEXT_DUE.format(source=state.value, epoch=EPOCH) for state in CLAIMS}

# a lease that is over is not revived: rescue may be about to take it
RENEW: Final = """
WITH held AS MATERIALIZED (
    SELECT w.task_id AS id, t.state, t.lease_no = w.lease_no AS ours, t.next_check_at
    FROM (SELECT * FROM json_to_recordset($1::json) AS w(task_id uuid, lease_no int) ORDER BY task_id) w
    CROSS JOIN LATERAL (
        SELECT t.state, t.lease_no, t.next_check_at FROM tasks t WHERE t.id = w.task_id FOR NO KEY UPDATE) t
)
UPDATE tasks t SET next_check_at = greatest(t.next_check_at, clock_timestamp() + $2::float8 * interval '1 s')
FROM held h WHERE t.id = ANY (ARRAY[h.id]) AND h.ours AND h.state IN ('running', 'analyzing')
    AND h.next_check_at > clock_timestamp()
RETURNING t.id"""

# an attempt may be in flight until `must_end_by` + GRACE, whatever the lease says
DUE: Final = BARE_TASKS.format(
    chosen=f"""
SELECT t.id FROM tasks t
WHERE t.state IN ('analyzing', 'awaiting_approval', 'running', 'manual') AND t.next_check_at <= statement_timestamp()
AND NOT EXISTS (SELECT FROM step_attempts a WHERE t.state = 'running' AND a.task_id = t.id AND a.outcome IS NULL
    AND a.must_end_by + interval '{GRACE.total_seconds()} s' > clock_timestamp())
ORDER BY t.next_check_at LIMIT $1::int"""
)

GET: Final = TASKS.format(chosen="SELECT id FROM tasks WHERE workspace = $1::uuid AND id = ANY($2::uuid[])")

# carried out by whoever holds the lease, once no attempt is open; waiting tasks are cancelled by a transition instead
REQUEST_CANCEL: Final = """
UPDATE tasks SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()),
    cancel_requested_by = coalesce(cancel_requested_by, $3), cancel_note = coalesce(cancel_note, $4)
WHERE workspace = $1::uuid AND id = $2::uuid AND state IN ('running', 'analyzing') AND batch IS NULL RETURNING id"""


# no transition: the time at which a task is looked at again is no part of its history
HASTEN: Final = """
UPDATE tasks SET next_check_at = clock_timestamp()
WHERE workspace = $1::uuid AND state IN ('received', 'queued') AND waiting_for = $2
    AND next_check_at > clock_timestamp() RETURNING 1"""


# The time since which it is due says how long it has waited for company. Locked by another, it is being claimed.
AWAITED: Final = """
WITH waiting AS MATERIALIZED (
    SELECT id FROM tasks WHERE workspace = $1::uuid AND id = ANY($2::uuid[]) AND state = 'received' AND NOT economy
    AND waiting_for IS NULL AND next_check_at <= clock_timestamp()
    AND next_check_at > clock_timestamp() - $3::float8 * interval '1 s'
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE tasks t SET next_check_at = clock_timestamp() - $3::float8 * interval '1 s'
FROM waiting w WHERE t.id = w.id RETURNING 1"""


def claim(
    database: Database, state: State, worker: str, limit: int, lease: timedelta, without: Collection[UUID]
) -> list[Task]:
    """See ports.Queue.claim."""
    return tasks_from(database.hot(CLAIMS[state], *_params(worker, limit, lease, without)))


def apply_then_claim(
    database: Database, batch: Sequence[Transition | NextStep], wanted: Claim
) -> tuple[frozenset[UUID], list[Task]]:
    """See ports.Queue.apply_then_claim."""
    asked = wanted.worker, wanted.limit, wanted.lease, wanted.without
    try:
        applied, claimed = database.hot_together(call_of(batch), (CLAIMS[wanted.state], _params(*asked)))
    except DataError:  # one row cannot be written: the others are, first, and then there is a claim
        return apply(database, batch), claim(database, wanted.state, *asked)
    return applied_of(batch, applied), tasks_from(claimed)


def _params(worker: str, limit: int, lease: timedelta, without: Collection[UUID]) -> tuple[str, ...]:
    return worker, str(limit), str(lease.total_seconds()), uuids([*without])


def next_due(database: Database, state: State) -> timedelta | None:
    """See ports.Queue.next_due."""
    [[seconds]] = database.hot(NEXT_DUES[state])
    return None if seconds is None else timedelta(seconds=max(0.0, seconds))


def request_cancel(database: Database, workspace: UUID, task: UUID, note: str | None, actor: str) -> bool:
    """See ports.Queue.request_cancel."""
    said = None if note is None else plain(note)
    return bool(database.run(REQUEST_CANCEL, str(workspace), str(task), plain(actor), said))


def renew(database: Database, held: Sequence[tuple[UUID, int]], lease: timedelta) -> frozenset[UUID]:
    """See ports.Queue.renew."""
    if not held:
        return frozenset()
    batch = document([{"task_id": task, "lease_no": lease_no} for task, lease_no in held])
    return frozenset(row[0] for row in database.hot(RENEW, batch, str(lease.total_seconds())))
