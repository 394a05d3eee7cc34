"""The gate: the one statement by which attempts begin, on every path (I4, I6).

It locks all that it reads, in one order (tasks by id, settings, approvals), and judges what the locking SELECTs return:
those see the newest version of a row that they had to wait for, while the statement's snapshot is as old as the wait.
"""

# ruff: noqa: S608 - composed of constants of these modules; values are parameters

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from common.adapters.postgres.connection import Database, DataError
from common.adapters.postgres.documents import document, seconds
from common.core.lifecycle import GRACE
from common.ports import Begin, Begun, NotBegun, Refusal

UNIQUE: Final = "23505"
TRIES: Final = 3

BEGIN: Final = f"""
WITH wanted AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json) AS w(
        n int, task_id uuid, lease_no int, step_id text, plan_number int, effect text, idempotency_key text,
        args_sha256 text, risk risk, needs_approval boolean, digest text, policy_version int, timeout float8)
    ORDER BY task_id
), held AS MATERIALIZED (
    SELECT w.n, t.* FROM wanted w CROSS JOIN LATERAL (
        SELECT t.id, t.workspace, t.state, t.lease_no, t.plan_number, t.next_check_at, t.cancel_requested_at,
            t.deadline
        FROM tasks t WHERE t.id = w.task_id FOR NO KEY UPDATE) t
), rules AS MATERIALIZED (
    SELECT of.workspace, s.name, s.version, s.value IS NOT NULL AS is_set
    FROM (SELECT DISTINCT workspace FROM held) of
    JOIN settings s ON s.name IN ('pause', 'policy') AND (s.workspace = of.workspace OR s.workspace IS NULL)
    ORDER BY s.workspace NULLS FIRST, s.name FOR SHARE OF s
), present AS MATERIALIZED (
    SELECT workspace, coalesce(sum(version) FILTER (WHERE name = 'policy'), 0) AS policy_version,
        coalesce(bool_or(is_set) FILTER (WHERE name = 'pause'), false) AS paused
    FROM rules GROUP BY workspace
), granted AS MATERIALIZED (
    SELECT h.n, a.* FROM (SELECT count(*) FROM present) AS after_the_settings CROSS JOIN held h CROSS JOIN LATERAL (
        SELECT a.id, a.digest, a.required, a.valid_until, a.plan_number
        FROM approvals a WHERE a.task_id = h.id AND a.closed_at IS NULL FOR SHARE) a
), judged AS MATERIALIZED (
    SELECT w.*, g.id AS approval_id, CASE
        WHEN h.id IS NULL OR h.state <> 'running' OR h.lease_no <> w.lease_no OR h.plan_number <> w.plan_number
            OR h.next_check_at <= clock_timestamp() THEN '{Refusal.STALE}'
        WHEN h.cancel_requested_at IS NOT NULL THEN '{Refusal.CANCELLED}'
        WHEN h.deadline <= clock_timestamp() THEN '{Refusal.DEADLINE}'
        WHEN p.paused THEN '{Refusal.PAUSED}'
        WHEN p.policy_version IS DISTINCT FROM w.policy_version THEN '{Refusal.POLICY_CHANGED}'
        WHEN (SELECT count(*) FROM step_attempts a WHERE a.task_id = w.task_id AND a.step_id = w.step_id AND (
            a.outcome IS NULL OR a.outcome = 'done' OR (a.outcome = 'unknown' AND (a.effect = 'non_idempotent'
                -- it could be repeated when it began, and by the settings of now it may not; nobody has spoken of it
                OR (w.effect = 'non_idempotent' AND NOT EXISTS (SELECT FROM step_attempts b WHERE b.task_id = a.task_id
                    AND b.step_id = a.step_id AND b.number >= a.number AND b.decided_by IS NOT NULL)))))) > 0
            THEN '{Refusal.UNDECIDED}'
        WHEN w.needs_approval AND NOT coalesce(
            g.digest = w.digest AND g.valid_until > clock_timestamp() AND g.required <= (
                SELECT count(*) FROM decisions d WHERE d.approval_id = g.id AND d.verdict = 'approved'
                AND d.digest = g.digest)
            AND (SELECT y.risk FROM plans y WHERE y.task_id = w.task_id AND y.number = g.plan_number) >= w.risk, false)
            THEN '{Refusal.APPROVAL_NEEDED}'
        WHEN (SELECT y.cost_cap FROM plans y WHERE y.task_id = w.task_id AND y.number = w.plan_number) <= (
            SELECT coalesce(sum(coalesce(k.cost, k.reserved)), 0) FROM call_tasks ct JOIN calls k ON k.id = ct.call_id
            WHERE ct.task_id = w.task_id AND k.purpose = 'generate') THEN '{Refusal.COST_CAP}'
    END AS why
    FROM wanted w LEFT JOIN held h ON h.n = w.n LEFT JOIN present p ON p.workspace = h.workspace
    LEFT JOIN granted g ON g.n = w.n
), begun AS (
    INSERT INTO step_attempts (task_id, step_id, number, plan_number, lease_no, effect, idempotency_key, args_sha256,
        approval_id, needed_approval, begun_at, must_end_by)
    SELECT j.task_id, j.step_id, 1 + coalesce((
            SELECT max(a.number) FROM step_attempts a WHERE a.task_id = j.task_id AND a.step_id = j.step_id), 0),
        j.plan_number, j.lease_no, j.effect, j.idempotency_key, j.args_sha256,
        CASE WHEN j.needs_approval THEN j.approval_id END, j.needs_approval,
        c.now, c.now + j.timeout * interval '1 s'
    FROM judged j, (SELECT clock_timestamp() AS now) c WHERE j.why IS NULL
    RETURNING task_id, step_id, number, must_end_by
), extended AS (
    UPDATE tasks t SET next_check_at = greatest(
        t.next_check_at, b.must_end_by + interval '{GRACE.total_seconds()} s')
    FROM begun b WHERE t.id = ANY (ARRAY[b.task_id])
)
SELECT j.n, j.why, b.number FROM judged j LEFT JOIN begun b ON b.task_id = j.task_id AND b.step_id = j.step_id"""


def begin(database: Database, wanted: Sequence[Begin]) -> list[Begun | NotBegun]:
    """See ports.Queue.begin."""
    if not wanted:
        return []
    batch = document([_row(n, one) for n, one in enumerate(wanted)])
    for attempt in range(TRIES):
        try:
            rows = database.hot(BEGIN, batch)
        except DataError as exc:
            # an attempt of the same step was committed while this statement waited: look again, and see it
            if exc.sqlstate != UNIQUE or attempt == TRIES - 1:
                raise
        else:
            answers = {n: (why, number) for n, why, number in rows}
            return [_answer(one, *answers[n]) for n, one in enumerate(wanted)]
    raise AssertionError("unreachable")


def _answer(wanted: Begin, why: str | None, number: int | None) -> Begun | NotBegun:
    if number is None:
        return NotBegun(wanted.task_id, wanted.step_id, Refusal(why or Refusal.STALE))
    return Begun(wanted.task_id, wanted.step_id, number, wanted.timeout)


def _row(n: int, wanted: Begin) -> dict[str, object]:
    return {
        "n": n,
        "task_id": wanted.task_id,
        "lease_no": wanted.lease_no,
        "step_id": wanted.step_id,
        "plan_number": wanted.plan_number,
        "effect": wanted.effect.value,
        "idempotency_key": wanted.idempotency_key,
        "args_sha256": wanted.args_sha256,
        "risk": wanted.risk.value,
        "needs_approval": wanted.needs_approval,
        "digest": wanted.digest,
        "policy_version": wanted.policy_version,
        "timeout": seconds(wanted.timeout),
    }
