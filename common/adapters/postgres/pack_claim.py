"""Claims of packs, texts that share a call to a model: which ones, and for how long they wait, is decided here.

Planned anew each time (`Database.run`): what is grouped has to be sorted, and texts are few beside other tasks.
"""

# ruff: noqa: S608 - composed of constants of these modules; values are parameters

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from typing import Final

from common.adapters.postgres.claim import EPOCH, next_due
from common.adapters.postgres.connection import Database
from common.adapters.postgres.documents import uuids
from common.adapters.postgres.rows import JOIN_PLAN, TASK, tasks_from
from common.core.task import State, Task
from common.ports import PATIENCE, Forming

SCANNED: Final = 200  # of a workspace's due tasks, unless more are asked for: a long backlog costs no more than this
URGENT: Final = 9  # a priority that waits for nobody

DUE: Final = f"""t.state = 'received' AND t.claim_order <= statement_timestamp() - {EPOCH}
        AND t.next_check_at <= statement_timestamp()"""
WHICH: Final = {False: "NOT t.economy", True: "t.economy", None: "true"}  # by Forming.economy


LOCKED: Final = """
        SELECT t.id, t.workspace, t.claim_order, t.event_seq + 1 AS seq, t.event_head, t.lease_no + 1 AS lease_no,
            clock_timestamp() AS now
        FROM tasks t WHERE t.id = l.id AND t.state = 'received' AND t.next_check_at <= statement_timestamp()
        FOR NO KEY UPDATE SKIP LOCKED"""


# Looked at without locks, then only the tasks of chosen packs are locked. Who claims at the same moment may have cut
# the same tasks into packs: whoever has a pack's first task has the pack. So the others are locked only behind it: held
# by somebody who does not get the pack, they would be missing in it.
# $1: worker, $2: tasks in a pack, $3: packs, $4: lease in seconds, $5: linger in seconds, $6: workspaces that wait
# longer.
def _claim(which: str) -> str:
    return f"""
WITH due AS MATERIALIZED (
    SELECT d.*, (row_number() OVER (
        PARTITION BY d.workspace, d.origin ORDER BY d.claim_order, d.id) - 1) / $2::int AS part
    FROM workspaces w CROSS JOIN LATERAL (
        SELECT t.id, t.workspace, t.origin, t.priority, t.next_check_at, t.claim_order
        FROM tasks t WHERE t.workspace = w.id AND {which} AND {DUE}
        ORDER BY t.claim_order LIMIT greatest({SCANNED}, $2::int * $3::int)
    ) d
), packs AS (
    SELECT workspace, origin, part, min(claim_order) AS place,
        row_number() OVER (PARTITION BY workspace ORDER BY min(claim_order), origin) AS turn
    FROM due GROUP BY workspace, origin, part
    HAVING count(*) = $2::int OR max(priority) >= {URGENT} OR min(next_check_at) <= statement_timestamp()
        - $5::float8 * CASE WHEN workspace = ANY($6::uuid[]) THEN {PATIENCE} ELSE 1 END * interval '1 s'
), taken AS (
    -- fair between workspaces: the first pack of each before the second of any
    SELECT *, row_number() OVER (ORDER BY turn, place, workspace) AS pack FROM packs
    ORDER BY turn, place, workspace LIMIT $3::int
), listed AS MATERIALIZED (
    SELECT k.pack, d.id, row_number() OVER (PARTITION BY k.pack ORDER BY d.claim_order, d.id) = 1 AS first
    FROM taken k JOIN due d USING (workspace, origin, part) ORDER BY k.pack, d.claim_order, d.id
), firsts AS MATERIALIZED (
    SELECT l.pack, c.* FROM listed l CROSS JOIN LATERAL ({LOCKED}) c WHERE l.first
), others AS MATERIALIZED (
    SELECT f.pack, c.* FROM firsts f JOIN listed l ON l.pack = f.pack AND NOT l.first CROSS JOIN LATERAL ({LOCKED}) c
), chosen AS MATERIALIZED (
    SELECT * FROM firsts UNION ALL SELECT * FROM others
), written AS (
    INSERT INTO task_events (task_id, seq, workspace, kind, from_state, to_state, at, actor, lease_no, prev)
    SELECT id, seq, workspace, 'analysis_started', 'received', 'analyzing', now, $1, lease_no, event_head FROM chosen
), t AS (
    -- the same hash as the event's own; the trigger compares them (I2)
    UPDATE tasks t SET state = 'analyzing', event_seq = c.seq, lease_no = c.lease_no, worker_id = $1,
        event_head = event_hash(c.id, c.seq, c.workspace, pg_current_xact_id(), 'analysis_started', 'received',
            'analyzing', c.now, $1, c.lease_no, NULL, c.event_head),
        waiting_for = NULL, next_check_at = c.now + $4::float8 * interval '1 s'
    FROM chosen c WHERE t.id = c.id RETURNING t.*, c.pack, c.claim_order AS place
)
SELECT t.pack, {TASK}::text FROM t {JOIN_PLAN} ORDER BY t.pack, t.place, t.id"""


# when the oldest that is due has waited long enough
def _lingered(which: str) -> str:
    return f"""
SELECT extract(epoch FROM min(d.next_check_at
    + $1::float8 * CASE WHEN w.id = ANY($2::uuid[]) THEN {PATIENCE} ELSE 1 END * interval '1 s')
    - clock_timestamp())::float8
FROM workspaces w CROSS JOIN LATERAL (
    SELECT t.next_check_at FROM tasks t WHERE t.workspace = w.id AND {which} AND {DUE}
    ORDER BY t.claim_order LIMIT {SCANNED}
) d"""


CLAIMS: Final = {economy: _claim(which) for economy, which in WHICH.items()}
LINGERS: Final = {economy: _lingered(which) for economy, which in WHICH.items()}


def claim_packs(database: Database, worker: str, forming: Forming, lease: timedelta) -> list[list[Task]]:
    """See ports.Queue.claim_packs."""
    rows = database.run(
        CLAIMS[forming.economy],
        worker,
        str(forming.tasks),
        str(forming.packs),
        str(lease.total_seconds()),
        str(forming.linger.total_seconds()),
        uuids([*forming.patient]),
    )
    tasks = tasks_from([[row[1]] for row in rows])
    numbered = zip((row[0] for row in rows), tasks, strict=True)
    return [[task for _, task in pack] for _, pack in groupby(numbered, key=lambda one: one[0])]


def next_pack(database: Database, forming: Forming) -> timedelta | None:
    """See ports.Queue.next_pack."""
    linger = str(forming.linger.total_seconds())
    [[seconds]] = database.run(LINGERS[forming.economy], linger, uuids([*forming.patient]))
    lingered = None if seconds is None else timedelta(seconds=max(0.0, seconds))
    times = [time for time in (lingered, next_due(database, State.RECEIVED)) if time is not None]
    return min(times, default=None)
