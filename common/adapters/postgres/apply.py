"""State changes: a batch of transitions is one statement and one commit; state and lease number guard each (I2, I3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from common.adapters.postgres.change_rows import row_of
from common.adapters.postgres.connection import Call, Database, DataError, Row, Session
from common.adapters.postgres.documents import document
from common.core.after_analysis import DIRECT_TAKES
from common.core.after_step import REMIND_IN
from common.core.lifecycle import GRACE, Detail, Ended, NextStep, Transition
from common.core.task import Failure, State

# `judged` takes every task of the batch in id order (two batches in opposite order deadlock: measured), and judges the
# guards on the version that the lock returned, by the clock as it is after the wait.
# An attempt's end is written whether or not the guards hold; a late one cannot contradict what is known by now.
APPLY: Final = """
WITH wanted AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json) AS w(
        task_id uuid, next boolean, kind text, source text, lease_no int, seen int, target text, check_in float8,
        actor text, detail text, waiting_for text, wait_until float8, only_if_due boolean, costs_attempt int,
        resets_attempts boolean, resets_replans boolean, kind_of_task text, priority int, batch uuid, economy boolean,
        closes_approval boolean,
        step_id text, number int, outcome text, output text, failure text, decided_by text{columns})
    ORDER BY task_id
), judged AS MATERIALIZED (
    SELECT w.*, t.workspace, t.event_seq + 1 AS seq, t.event_head, t.present_plan, t.not_before, t.deadline,
        t.cancel_requested_at, clock_timestamp() AS now,
        -- whose the event is: a cancel is the person's who asked for it, though a worker carries it out
        CASE WHEN w.kind = 'cancelled' THEN coalesce(t.cancel_requested_by, w.actor) ELSE w.actor END AS by,
        CASE WHEN w.kind = 'cancelled' AND w.detail IS NULL AND t.cancel_note IS NOT NULL
            THEN json_build_object('note', t.cancel_note)::text ELSE w.detail END AS said,
        t.state = w.source AND t.lease_no = w.lease_no AND (w.seen IS NULL OR w.seen = t.event_seq)
        AND (w.only_if_due IS NOT TRUE OR (t.next_check_at <= clock_timestamp() AND (
            SELECT count(*) FROM step_attempts a WHERE a.task_id = w.task_id AND a.outcome IS NULL
            AND a.must_end_by + interval '{grace} s' > clock_timestamp()) = 0))
        AND (w.next IS NOT TRUE OR (SELECT count(*) FILTER (WHERE a.number = w.number AND a.outcome IS NULL) > 0
                OR w.number IS NULL AND count(*) FILTER (WHERE a.outcome = 'done' OR a.outcome IS NULL) = 0
            FROM step_attempts a WHERE a.task_id = w.task_id AND a.step_id = w.step_id)) AS ok
    FROM wanted w CROSS JOIN LATERAL (
        SELECT t.workspace, t.state, t.lease_no, t.event_seq, t.event_head, t.next_check_at,
            t.plan_number AS present_plan,
            t.not_before, t.deadline, t.cancel_requested_at, t.cancel_requested_by, t.cancel_note
        FROM tasks t WHERE t.id = w.task_id FOR NO KEY UPDATE
    ) t
), closed AS (
    UPDATE step_attempts a SET ended_at = j.now, reported_late = NOT j.ok,
        decided_by = coalesce(j.decided_by, a.decided_by), failure = j.failure::json,
        outcome = CASE WHEN clash.it THEN 'unknown' ELSE j.outcome END,
        output = CASE WHEN NOT clash.it THEN j.output::json END
    FROM judged j, LATERAL (
        -- repeated under its key, and the repetition is open or done: one step is done once (I6)
        SELECT j.outcome <> 'not_done' AND (
            SELECT count(*) FROM step_attempts b
            WHERE b.task_id = j.task_id AND b.step_id = j.step_id AND b.number <> j.number
            AND (b.outcome IS NULL OR b.outcome = 'done' OR (b.outcome = 'unknown' AND b.effect = 'non_idempotent'))
        ) > 0 AS it
    ) clash
    -- A stale rescue only guessed: it speaks for no attempt that is not lost. A person's word counts with its
    -- transition or not at all. What is left of the stale ones is the worker's, who was there.
    WHERE j.number IS NOT NULL AND a.task_id = ANY (ARRAY[j.task_id]) AND a.step_id = j.step_id
    AND a.number = j.number
    AND (j.ok OR (j.only_if_due IS NOT TRUE AND j.decided_by IS NULL))
    AND (a.outcome IS NULL
        OR (a.outcome = 'unknown' AND a.decided_by IS NULL AND (NOT j.ok OR j.decided_by IS NOT NULL)))
), whole AS (
    INSERT INTO step_attempts (task_id, step_id, number, plan_number, lease_no, effect, idempotency_key, args_sha256,
        needed_approval, begun_at, ended_at, outcome, output, failure, decided_by)
    SELECT j.task_id, j.step_id, 1 + coalesce((
            SELECT max(a.number) FROM step_attempts a WHERE a.task_id = j.task_id AND a.step_id = j.step_id), 0),
        j.present_plan, j.lease_no, 'none', '', '', false, j.now, j.now, j.outcome, j.output::json, j.failure::json,
        j.decided_by
    FROM judged j WHERE j.ok AND j.step_id IS NOT NULL AND j.number IS NULL
), written AS (
    INSERT INTO task_events (
        task_id, seq, workspace, kind, from_state, to_state, at, actor, lease_no, detail, detail_sha256, prev)
    SELECT task_id, seq, workspace, kind, source, target, now, by, lease_no, said::json, sha256(convert_to(said,
        'UTF8')),
        event_head
    FROM judged WHERE ok AND next IS NOT TRUE
){more}, replaced AS (
    -- by id, found task by task: as a join it could be planned as a walk over all open approvals
    UPDATE approvals SET closed_at = clock_timestamp() WHERE id = ANY (ARRAY(
        SELECT a.id FROM judged j CROSS JOIN LATERAL (
            SELECT b.id FROM approvals b WHERE b.task_id = j.task_id AND b.closed_at IS NULL OFFSET 0) a
        WHERE j.ok AND j.closes_approval))
    RETURNING id
){asked}, moved AS (
    -- the same hash as the event's own; the trigger compares them (I2)
    UPDATE tasks t SET state = j.target, event_seq = j.seq, worker_id = NULL,
        event_head = event_hash(j.task_id, j.seq, j.workspace, pg_current_xact_id(), j.kind, j.source, j.target, j.now,
            j.by, j.lease_no, sha256(convert_to(j.said, 'UTF8')), j.event_head),
        next_check_at = CASE
            WHEN j.check_in IS NULL THEN NULL
            WHEN j.cancel_requested_at IS NOT NULL THEN j.now  -- whoever looks at it carries the request out
            WHEN j.target = 'queued' THEN
                least(greatest(j.now + j.check_in * interval '1 s', j.not_before), j.deadline)
            WHEN j.target IN ('received', 'awaiting_approval') THEN least(j.now + j.check_in * interval '1 s',
                j.deadline)
            -- parked by a process that stood still: a direct reading has to begin in time all the same
            WHEN j.batch IS NOT NULL THEN least(j.now + j.check_in * interval '1 s',
                j.deadline - interval '{direct} s')
            ELSE j.now + j.check_in * interval '1 s' END,
        finished_at = CASE WHEN j.check_in IS NULL THEN j.now END,
        attempts = CASE WHEN j.resets_attempts THEN 0 ELSE t.attempts + coalesce(j.costs_attempt, 0) END,
        replans = CASE WHEN j.resets_replans THEN 0 WHEN j.kind = 'replanned' THEN t.replans + 1 ELSE t.replans END,
        waiting_for = CASE WHEN j.target = 'queued' AND j.waiting_for IS NULL AND j.not_before > j.now THEN 'delay'
            ELSE j.waiting_for END,
        -- a wait that is over stays over, whoever loses the task, until its step is done or the plan is another
        wait_until = CASE WHEN j.wait_until IS NOT NULL THEN j.now + j.wait_until * interval '1 s'
            WHEN j.outcome = 'done' OR {plan_number} IS NOT NULL THEN NULL ELSE t.wait_until END,
        cancel_requested_at = CASE WHEN j.check_in IS NOT NULL THEN t.cancel_requested_at END,
        cancel_requested_by = CASE WHEN j.check_in IS NOT NULL THEN t.cancel_requested_by END,
        plan_number = coalesce({plan_number}, t.plan_number), kind = coalesce(j.kind_of_task, t.kind),
        priority = coalesce(j.priority, t.priority), batch = j.batch, economy = coalesce(j.economy, t.economy)
    FROM judged j WHERE j.ok AND j.next IS NOT TRUE AND t.id = ANY (ARRAY[j.task_id])
), rested AS (
    UPDATE tasks t SET wait_until = NULL
    FROM judged j WHERE j.ok AND j.next AND t.id = ANY (ARRAY[j.task_id]) AND t.wait_until IS NOT NULL
)
-- Which, only if it was not all ($2): a hundred ids take their reader longer than all the rest of this answer.
SELECT count(*) FILTER (WHERE ok),
    CASE WHEN count(*) FILTER (WHERE ok) < $2::int THEN string_agg(task_id::text, ',') FILTER (WHERE ok) END
FROM judged"""

COLUMNS: Final = """,
        plan_number int, plan_steps text, plan_last_step text, plan_risk_floor risk, plan_risk risk, plan_reasons text,
        plan_needs_approval boolean, plan_kept_steps int, plan_cost_cap bigint, plan_policy_version int,
            plan_source text,
        ask_digest text, ask_requested_by uuid, ask_required int, ask_expires_in float8"""

PLANNED: Final = """, planned AS (
    INSERT INTO plans (task_id, number, steps, last_step, risk_floor, risk, reasons, needs_approval, kept_steps,
        cost_cap,
        policy_version, source)
    SELECT task_id, plan_number, plan_steps::json, plan_last_step, plan_risk_floor, plan_risk, plan_reasons::json,
        plan_needs_approval, plan_kept_steps, plan_cost_cap, plan_policy_version, plan_source
    FROM judged WHERE ok AND plan_number IS NOT NULL
)"""

# reads `replaced`, so that the old one is closed before the new one is opened: one is open at a time
ASKED: Final = """, asked AS (
    INSERT INTO approvals (id, task_id, plan_number, digest, requested_by, required, expires_at)
    SELECT uuidv7(), task_id, coalesce(plan_number, present_plan), ask_digest, ask_requested_by, ask_required,
        now + ask_expires_in * interval '1 s'
    FROM judged WHERE ok AND ask_digest IS NOT NULL AND (SELECT count(*) FROM replaced) >= 0
)"""

# a batch without plans and questions is the busy one: it carries no columns for them
TIMES: Final = {"direct": round(DIRECT_TAKES.total_seconds()), "grace": GRACE.total_seconds()}
SHORT: Final = APPLY.format(columns="", more="", asked="", plan_number="NULL::int", **TIMES)
WHOLE: Final = APPLY.format(columns=COLUMNS, more=PLANNED, asked=ASKED, plan_number="j.plan_number", **TIMES)

UNWRITABLE: Final = Failure(code="unwritable_row", detail="the database refused what this step left behind")


def apply(database: Database, batch: Sequence[Transition | NextStep]) -> frozenset[UUID]:
    """See ports.Queue.apply."""
    if not batch:
        return frozenset()
    try:
        return _run(database, batch)
    except DataError:
        if len(batch) > 1:  # one row that cannot be written must not hold up the others: find it by halves
            half = len(batch) // 2
            return apply(database, batch[:half]) | apply(database, batch[half:])
        instead = unwritable(batch[0])
        if instead is None:
            raise
        return _run(database, [instead])


def unwritable(change: Transition | NextStep) -> Transition | None:
    """What is applied instead of a running task's change that the database refuses: its outcome, without the output.

    None if that was tried already, or the task was not running: then it is a fault of ours, and raised.
    """
    ended = change.ended
    if isinstance(change, Transition) and (change.source is not State.RUNNING or change.detail.failure == UNWRITABLE):
        return None
    return Transition(
        task_id=change.task_id,
        kind="gave_up",
        source=State.RUNNING,
        lease_no=change.lease_no,
        event_seq=None,
        target=State.MANUAL,
        check_in=REMIND_IN,
        actor=change.actor if isinstance(change, Transition) else "system",
        detail=Detail(failure=UNWRITABLE),
        ended=None
        if ended is None
        else Ended(step_id=ended.step_id, number=ended.number, outcome=ended.outcome, failure=UNWRITABLE),
    )


def apply_in(session: Session, batch: Sequence[Transition | NextStep]) -> frozenset[UUID]:
    """The same inside of a transaction that has more to say, such as a decision."""
    sql, params = call_of(batch)
    return applied_of(batch, session.hot(sql, *params))


def _run(database: Database, batch: Sequence[Transition | NextStep]) -> frozenset[UUID]:
    sql, params = call_of(batch)
    return applied_of(batch, database.hot(sql, *params))


def call_of(batch: Sequence[Transition | NextStep]) -> Call:
    """The statement that applies a batch, and its parameters."""
    return _statement(batch), (_document(batch), str(len(batch)))


def applied_of(batch: Sequence[Transition | NextStep], rows: Sequence[Row]) -> frozenset[UUID]:
    """Which of the batch were applied, from that statement's answer."""
    [[count, some]] = rows
    if count == len(batch):
        return frozenset(change.task_id for change in batch)
    return frozenset(UUID(task) for task in some.split(",")) if some else frozenset()


def _statement(batch: Sequence[Transition | NextStep]) -> str:
    plain = all(isinstance(change, NextStep) or (change.plan is None and change.ask is None) for change in batch)
    return SHORT if plain else WHOLE


def _document(batch: Sequence[Transition | NextStep]) -> str:
    return document([row_of(change) for change in batch])
