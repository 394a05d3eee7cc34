"""A task as one JSON text, built by SQL in the shape of `core.task.Task` and decoded in one pass, not by column."""

# ruff: noqa: S608 - composed of constants of these modules; values are parameters

from __future__ import annotations

from typing import Final

from pydantic import TypeAdapter

from common.adapters.postgres.connection import Row
from common.core.task import Task

ATTEMPT: Final = """json_build_object(
    'step_id', a.step_id, 'number', a.number, 'plan_number', a.plan_number, 'lease_no', a.lease_no, 'effect', a.effect,
    'idempotency_key', a.idempotency_key, 'args_sha256', a.args_sha256, 'begun_at', a.begun_at, 'ended_at', a.ended_at,
    'outcome', a.outcome, 'output', {output}, 'failure', a.failure, 'decided_by', a.decided_by)"""

PLAN: Final = """CASE WHEN p.number IS NOT NULL THEN json_build_object(
    'number', p.number, 'steps', p.steps, 'source', p.source, 'risk_floor', p.risk_floor, 'risk', p.risk,
    'reasons', p.reasons, 'needs_approval', p.needs_approval, 'kept_steps', p.kept_steps, 'cost_cap', p.cost_cap,
    'policy_version', p.policy_version) END"""

# the newest failure of its history; a task claimed for the first time has none, and is not asked
FAILURE: Final = """CASE WHEN t.event_seq > 2 OR t.state NOT IN ('running', 'analyzing') THEN (
    SELECT e.detail -> 'failure' FROM task_events e WHERE e.task_id = t.id AND e.detail -> 'failure' IS NOT NULL
    ORDER BY e.seq DESC LIMIT 1) END"""


def task_json(*, outputs: bool) -> str:
    """SQL for a task as JSON, over `t` (tasks) and `p` (its present plan, left joined)."""
    attempt = ATTEMPT.format(output="a.output" if outputs else "NULL::json")
    return f"""json_build_object(
    'id', t.id, 'workspace', t.workspace, 'state', t.state,
    'request', json_build_object('text', t.text, 'inputs', t.inputs, 'tags', t.tags, 'not_before', t.not_before,
        'deadline', t.deadline, 'lang', t.lang, 'requested_by', t.requested_by, 'origin', t.origin,
        'priority_given', t.priority_given),
    'kind', t.kind, 'priority', t.priority, 'attempts', t.attempts, 'replans', t.replans, 'lease_no', t.lease_no,
    'event_seq', t.event_seq, 'plan', {PLAN},
    'trail', coalesce((SELECT json_agg({attempt} ORDER BY a.begun_at, a.step_id, a.number)
        FROM step_attempts a WHERE a.task_id = t.id), '[]'::json),
    'waiting_for', t.waiting_for,
    'wait_over', CASE WHEN t.wait_until IS NOT NULL THEN t.wait_until <= clock_timestamp() END,
    'deadline_in', extract(epoch FROM t.deadline - clock_timestamp()), 'read_at', clock_timestamp(),
    'cancel_requested', t.cancel_requested_at IS NOT NULL, 'economy', t.economy, 'batch', t.batch,
    'failure', {FAILURE})"""


TASK: Final = task_json(outputs=True)
JOIN_PLAN: Final = "LEFT JOIN plans p ON p.task_id = t.id AND p.number = t.plan_number"

# Which steps are done, not what they brought: for whoever runs none. 200 tasks of 50 results are 10 GB.
BARE_TASK: Final = task_json(outputs=False)


def _tasks(task: str) -> str:
    return (
        "WITH chosen AS MATERIALIZED (SELECT c.id, row_number() OVER () AS place FROM ({chosen}) AS c(id)) SELECT "
        + task
        + "::text FROM chosen JOIN tasks t ON t.id = chosen.id "
        + JOIN_PLAN
        + " ORDER BY chosen.place"
    )


# `{chosen}`: a SELECT of ids, in the order wanted
TASKS: Final = _tasks(TASK)
BARE_TASKS: Final = _tasks(BARE_TASK)

_TASKS: Final = TypeAdapter(list[Task])


def tasks_from(rows: list[Row]) -> list[Task]:
    """Rows whose only column is a task's JSON text."""
    return _TASKS.validate_json(joined(rows)) if rows else []


def joined(rows: list[Row]) -> str:
    """One JSON array of rows that each are one JSON text."""
    return "[" + ",".join([row[0] for row in rows]) + "]"
