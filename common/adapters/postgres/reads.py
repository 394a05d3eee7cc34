"""Everything that is only looked at; each statement is scoped to a workspace, and none scans what is finished."""

# ruff: noqa: S608 - composed of constants of these modules; values are parameters

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter

from common.adapters.postgres.connection import Database
from common.adapters.postgres.documents import plain, uuids
from common.adapters.postgres.rows import JOIN_PLAN, joined, task_json
from common.core.task import Json, State
from common.ports import Depth, EventRecord, QueueView, TaskFilter, TaskRecord

ENDING_INDEXED: Final = 8  # hex digits that task_events_ending holds
LIVE: Final = tuple(state for state in State if state not in {State.SUCCEEDED, State.CANCELLED})
FROM_THE_START: Final = "0:00000000-0000-0000-0000-000000000000:0"  # before the first event
POSITION: Final = re.compile(
    "([0-9]{1,19}):([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}):([0-9]{1,9})"  # what xid8, uuid and int take, no more
)

# an actor is a person (`person:` and the id, or the id alone) or a part of the system by its name
ACTOR_NAME: Final = """coalesce((SELECT q.name FROM people q WHERE q.id = CASE
    WHEN e.actor ~ '^(person:)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
    THEN right(e.actor, 36)::uuid END), e.actor)"""

EVENT_JSON: Final = f"""json_build_object('event', json_build_object('task_id', e.task_id, 'seq', e.seq, 'kind', e.kind,
    'from_state', e.from_state, 'to_state', e.to_state, 'at', e.at, 'actor', e.actor, 'detail', e.detail,
    'hash', encode(e.hash, 'hex')), 'actor_name', {ACTOR_NAME},
    'position', e.tx::text || ':' || e.task_id::text || ':' || e.seq)"""

PAUSED: Final = """EXISTS (SELECT FROM settings s WHERE s.name = 'pause' AND s.value IS NOT NULL
    AND (s.workspace = t.workspace OR s.workspace IS NULL))"""

# what an attempt did is counted once for all tasks of a call: a pack's cost is split evenly
COST: Final = """coalesce((SELECT sum(coalesce(c.cost, 0) / (
    SELECT count(*) FROM call_tasks o WHERE o.call_id = ct.call_id))::bigint
    FROM call_tasks ct CROSS JOIN LATERAL (SELECT c.cost FROM calls c WHERE c.id = ct.call_id OFFSET 0) c
    WHERE ct.task_id = t.id), 0)"""

# the last step of the present plan, if it is done
LAST_DONE: Final = """(SELECT a.task_id, a.output FROM step_attempts a WHERE a.task_id = t.id AND a.outcome = 'done'
    AND a.step_id = p.last_step LIMIT 1)"""


def _record(*, outputs: bool) -> str:
    return f"""
SELECT json_build_object('task', {task_json(outputs=outputs)}, 'requested_by_name',
    coalesce((SELECT q.name FROM people q WHERE q.id = t.requested_by), t.requested_by::text),
    'created_at', f.at, 'finished_at', t.finished_at, 'since', e.at, 'next_check_at', t.next_check_at,
    'paused', {PAUSED}, 'last_actor', {ACTOR_NAME}, 'last_note', e.detail -> 'note',
    'failure', (SELECT x.detail -> 'failure' FROM task_events x WHERE x.task_id = t.id
        AND x.detail -> 'failure' IS NOT NULL ORDER BY x.seq DESC LIMIT 1),
    -- a task closed by hand has the result that a person gave
    'result', CASE WHEN e.kind = 'resolved' THEN e.detail -> 'data' -> 'result' ELSE r.output END, 'has_result',
        r.task_id IS NOT NULL, 'cost_nanodollars', {COST})::text"""


SETTLED_STATES: Final = "('succeeded', 'cancelled', 'awaiting_approval', 'manual')"

# Hot: each table is looked up by a key of the one before. OFFSET keeps a subquery whole, so no other order is planned;
# and `seq = 1` would offer the partial indexes, which an empty table's plan would read from end to end.
_ONE: Final = f"""
WITH t AS MATERIALIZED (
    SELECT * FROM tasks WHERE workspace = $1::uuid AND id = $2::uuid {{also}}){{record}}
FROM t
CROSS JOIN LATERAL (SELECT * FROM task_events e WHERE e.task_id = t.id AND e.seq = t.event_seq OFFSET 0) e
CROSS JOIN LATERAL (SELECT f.at FROM task_events f WHERE f.task_id = t.id AND f.seq < 2 OFFSET 0) f
{JOIN_PLAN} LEFT JOIN LATERAL {LAST_DONE} r ON true"""
ONE: Final = _ONE.format(also="", record=_record(outputs=True))
ONE_SETTLED: Final = _ONE.format(also=f"AND state IN {SETTLED_STATES}", record=_record(outputs=True))

RECORDS: Final = f"""{_record(outputs=False)}
FROM chosen JOIN tasks t ON t.id = chosen.id
JOIN task_events e ON e.task_id = t.id AND e.seq = t.event_seq
JOIN task_events f ON f.task_id = t.id AND f.seq = 1
{JOIN_PLAN} LEFT JOIN LATERAL {LAST_DONE} r ON true ORDER BY t.id DESC"""

EVENTS: Final = f"""
SELECT {EVENT_JSON}::text FROM task_events e
WHERE e.workspace = $1::uuid AND e.task_id = $2::uuid AND e.seq > $3::int ORDER BY e.seq"""

# up to the oldest transaction that still runs: what it has written becomes visible later, under its older number
STREAM: Final = f"""
SELECT {EVENT_JSON}::text FROM task_events e
WHERE e.workspace = $1::uuid AND e.tx >= $2::xid8 AND (e.tx, e.task_id, e.seq) > ($2::xid8, $3::uuid, $4::int)
AND e.tx < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY e.tx, e.task_id, e.seq LIMIT $5::int"""

NEWEST: Final = f"""
SELECT {EVENT_JSON}::text FROM task_events e
WHERE e.workspace = $1::uuid AND e.tx < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY e.tx DESC, e.task_id DESC, e.seq DESC LIMIT 1"""

SETTLED: Final = f"SELECT id FROM tasks WHERE id = ANY($1::uuid[]) AND state IN {SETTLED_STATES}"

RESULT: Final = """
SELECT a.output::text FROM step_attempts a JOIN tasks t ON t.id = a.task_id
WHERE t.workspace = $1::uuid AND a.task_id = $2::uuid AND a.step_id = $3 AND a.outcome = 'done'"""

ENDING: Final = """
SELECT e.task_id FROM task_events e WHERE e.seq = 1 AND e.workspace = $1::uuid
AND reverse(right(e.task_id::text, 8)) LIKE $2 AND replace(e.task_id::text, '-', '') LIKE $3 LIMIT 2"""

# The oldest of what may be claimed is as old as it has been ready; of the rest, as it has been in its state.
CLAIMED: Final = frozenset({State.RECEIVED, State.QUEUED})
READY_SINCE: Final = "min(t.next_check_at) FILTER (WHERE t.next_check_at <= clock_timestamp())"
DEPTH: Final = " UNION ALL ".join(
    f"""SELECT '{state}', t.priority::int, count(*),
        coalesce(extract(epoch FROM clock_timestamp() - {READY_SINCE if state in CLAIMED else "min(e.at)"}), 0)::float8
    FROM tasks t {"" if state in CLAIMED else "JOIN task_events e ON e.task_id = t.id AND e.seq = t.event_seq"}
    WHERE t.workspace = $1::uuid AND t.state = '{state}' GROUP BY t.priority"""
    for state in LIVE
)
LEASES: Final = """
SELECT worker_id, count(*) FROM tasks
WHERE workspace = $1::uuid AND state IN ('running', 'analyzing') AND worker_id IS NOT NULL  -- not what is parked
    AND next_check_at > clock_timestamp() GROUP BY worker_id"""
COUNTS: Final = " UNION ALL ".join(
    f"SELECT '{state}', count(*) FROM tasks WHERE workspace = $1::uuid AND state = '{state}'" for state in LIVE
)

_RECORDS: Final = TypeAdapter(list[TaskRecord])
_EVENTS: Final = TypeAdapter(list[EventRecord])


class PostgresReads:
    """`ports.Reads`."""

    def __init__(self, database: Database) -> None:
        """`database`: as any role."""
        self._database = database

    def tasks(self, workspace: UUID, filters: TaskFilter) -> list[TaskRecord]:
        """See ports.Reads."""
        chosen, params = _chosen(filters)
        rows = self._database.run(f"WITH chosen AS MATERIALIZED ({chosen}){RECORDS}", str(workspace), *params)
        return _RECORDS.validate_json(joined(rows)) if rows else []

    def task(self, workspace: UUID, task: UUID) -> TaskRecord | None:
        """See ports.Reads."""
        rows = self._database.hot(ONE, str(workspace), str(task))
        return _RECORDS.validate_json(joined(rows))[0] if rows else None

    def resolve_id(self, workspace: UUID, ending: str) -> list[UUID]:
        """See ports.Reads."""
        digits = ending.lower().replace("-", "")
        if not set(digits) <= set("0123456789abcdef"):
            return []
        indexed = digits[-ENDING_INDEXED:][::-1]
        return [row[0] for row in self._database.run(ENDING, str(workspace), indexed + "%", "%" + digits)]

    def events(self, workspace: UUID, task: UUID, after_seq: int = 0) -> list[EventRecord]:
        """See ports.Reads."""
        rows = self._database.run(EVENTS, str(workspace), str(task), str(after_seq))
        return _EVENTS.validate_json(joined(rows)) if rows else []

    def workspace_events(self, workspace: UUID, after: str | None, limit: int) -> list[EventRecord]:
        """See ports.Reads. Empty: from the first event. One that is none of ours is read as None: from now on."""
        place = POSITION.fullmatch(after or FROM_THE_START) if after is not None else None
        if place is None:
            rows = self._database.run(NEWEST, str(workspace))
        else:
            rows = self._database.run(STREAM, str(workspace), *place.groups(), str(limit))
        return _EVENTS.validate_json(joined(rows)) if rows else []

    def settled(self, ids: Sequence[UUID]) -> frozenset[UUID]:
        """See ports.Reads."""
        return frozenset(row[0] for row in self._database.hot(SETTLED, uuids(ids))) if ids else frozenset()

    def settled_task(self, workspace: UUID, task: UUID) -> TaskRecord | None:
        """See ports.Reads."""
        rows = self._database.hot(ONE_SETTLED, str(workspace), str(task))
        return _RECORDS.validate_json(joined(rows))[0] if rows else None

    def result(self, workspace: UUID, task: UUID, step: str) -> Json | None:
        """See ports.Reads."""
        rows = self._database.run(RESULT, str(workspace), str(task), plain(step))
        return json.loads(rows[0][0]) if rows and rows[0][0] is not None else None

    def queue(self, workspace: UUID) -> QueueView:
        """See ports.Reads."""
        depth = [
            Depth(state=State(state), priority=priority, tasks=tasks, oldest_seconds=oldest)
            for state, priority, tasks, oldest in self._database.run(DEPTH, str(workspace))
        ]
        depth.sort(key=lambda line: (LIVE.index(line.state), -line.priority))
        return QueueView(
            depth=tuple(depth),
            leases={worker: int(held) for worker, held in self._database.run(LEASES, str(workspace))},
        )

    def counts(self, workspace: UUID) -> dict[State, int]:
        """See ports.Reads."""
        return {State(state): tasks for state, tasks in self._database.run(COUNTS, str(workspace)) if tasks}


def _chosen(filters: TaskFilter) -> tuple[str, list[str]]:
    """SQL for the ids of a page, and its parameters from $2 on. The texts are finite: one a set of filters in use."""
    one = filters.states[0].value if len(filters.states) == 1 else None
    several = "{" + ",".join(s.value for s in filters.states) + "}" if len(filters.states) > 1 else None
    like = None if filters.q is None else "%" + re.sub(r"([\\%_])", r"\\\1", plain(filters.q)) + "%"
    wanted = (
        # one state as a literal, so that the partial index of a rare one can be used
        (f"t.state = '{one}' AND {{}} <> ''", one),
        ("t.state = ANY ({}::text[])", several),
        ("p.risk = {}::risk", filters.risk),
        ("t.kind = {}", filters.kind),
        ("t.tags @> ARRAY[{}]", filters.tag),
        ("t.text ILIKE {}", like),
        ("f.at >= {}::timestamptz", None if filters.since is None else filters.since.isoformat()),
        ("f.at < {}::timestamptz", None if filters.until is None else filters.until.isoformat()),
        # of both: whichever table the page is read from begins there
        ("f.task_id < {}::uuid AND t.id < {}::uuid", None if filters.before is None else str(filters.before)),
    )
    used = [(condition, param) for condition, param in wanted if param is not None]
    conditions = [condition.replace("{}", f"${number}") for number, (condition, _) in enumerate(used, start=2)]
    plan = JOIN_PLAN if filters.risk is not None else ""
    where = " AND ".join(["f.workspace = $1::uuid AND f.seq = 1 AND t.workspace = $1::uuid", *conditions])
    # a list is read from first events, in the order of their ids; that of a rare state from the tasks in it
    first = f"task_events f JOIN tasks t ON t.id = f.task_id {plan}"
    return (
        f"SELECT t.id FROM {first} WHERE {where} ORDER BY f.task_id DESC LIMIT ${len(used) + 2}::int",
        [*(plain(param) for _, param in used), str(filters.limit + 1)],
    )
