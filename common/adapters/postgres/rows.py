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

PLAN: Final = """CASE WHEN p.number IS NOT NULL THEN concat(',"plan":{"number":', p.number, ',"steps":', p.steps,
    ',"source":', to_json(p.source), ',"risk_floor":"', p.risk_floor, '","risk":"', p.risk, '","reasons":', p.reasons,
    ',"needs_approval":', p.needs_approval::text, ',"kept_steps":', p.kept_steps, ',"cost_cap":' || p.cost_cap,
    ',"policy_version":', p.policy_version, '}') END"""

# the newest failure of its history; a task claimed for the first time has none, and is not asked
FAILURE: Final = """CASE WHEN t.event_seq > 2 OR t.state NOT IN ('running', 'analyzing') THEN (
    SELECT e.detail -> 'failure' FROM task_events e WHERE e.task_id = t.id AND e.detail -> 'failure' IS NOT NULL
    ORDER BY e.seq DESC LIMIT 1) END"""


def _task_text(*, outputs: bool = True, claimed: bool = False) -> str:
    """SQL for a task as JSON text, over `t` (tasks) and `p` (its present plan, left joined).

    Pieced together, and without what `core.task.Task` takes for granted: json_build_object looks the type of each
    argument up at each call, which took four times as long. What is NULL makes its whole piece NULL, and is left out.

    Args:
        outputs: with what the steps brought.
        claimed: it was claimed by this statement, so the first time there is no attempt to look for.
    """
    attempt = ATTEMPT.format(output="a.output" if outputs else "NULL::json")
    trail = f"""',"trail":' || (SELECT json_agg({attempt} ORDER BY a.begun_at, a.step_id, a.number)
        FROM step_attempts a WHERE a.task_id = t.id)"""
    return f"""concat('{{"id":"', t.id, '","workspace":"', t.workspace, '","state":"', t.state, '","read_at":',
    to_json(clock_timestamp()), ',"request":{{"inputs":', t.inputs, ',"lang":"', t.lang, '","requested_by":"',
    t.requested_by, '","origin":"', t.origin, '"', ',"text":' || to_json(t.text),
    CASE WHEN t.tags <> '{{}}' THEN ',"tags":' || to_json(t.tags) END, ',"not_before":' || to_json(t.not_before),
    ',"deadline":' || to_json(t.deadline), CASE WHEN t.priority_given THEN ',"priority_given":true' END,
    '}},"priority":', t.priority, ',"attempts":', t.attempts, ',"replans":', t.replans, ',"lease_no":', t.lease_no,
    ',"event_seq":', t.event_seq, ',"kind":' || to_json(t.kind), {PLAN},
    {f"CASE WHEN t.event_seq > 2 THEN {trail} END" if claimed else trail},
    ',"waiting_for":' || to_json(t.waiting_for), ',"wait_over":' || (t.wait_until <= clock_timestamp())::text,
    ',"deadline_in":' || extract(epoch FROM t.deadline - clock_timestamp()),
    CASE WHEN t.cancel_requested_at IS NOT NULL THEN ',"cancel_requested":true' END,
    CASE WHEN t.economy THEN ',"economy":true' END, ',"batch":"' || t.batch || '"', ',"failure":' || {FAILURE}, '}}')"""


def task_json(*, outputs: bool) -> str:
    """SQL for the same as a value of type json, for a larger document."""
    return f"({_task_text(outputs=outputs)})::json"


TASK: Final = _task_text()
CLAIMED_TASK: Final = _task_text(claimed=True)
JOIN_PLAN: Final = "LEFT JOIN plans p ON p.task_id = t.id AND p.number = t.plan_number"

# Which steps are done, not what they brought: for whoever runs none. 200 tasks of 50 results are 10 GB.
BARE_TASK: Final = task_json(outputs=False)


def _tasks(task: str) -> str:
    return (
        "WITH chosen AS MATERIALIZED (SELECT c.id, row_number() OVER () AS place FROM ({chosen}) AS c(id)) SELECT "
        # braces of its own stay, `{chosen}` is filled in
        + task.replace("{", "{{").replace("}", "}}")
        + " FROM chosen JOIN tasks t ON t.id = chosen.id "
        + JOIN_PLAN
        + " ORDER BY chosen.place"
    )


# `{chosen}`: a SELECT of ids, in the order wanted
TASKS: Final = _tasks(TASK)
BARE_TASKS: Final = _tasks(_task_text(outputs=False))

_TASKS: Final = TypeAdapter(list[Task])


def tasks_from(rows: list[Row]) -> list[Task]:
    """Rows whose only column is a task's JSON text."""
    return _TASKS.validate_json(joined(rows)) if rows else []


def joined(rows: list[Row]) -> str:
    """One JSON array of rows that each are one JSON text."""
    return "[" + ",".join([row[0] for row in rows]) + "]"
