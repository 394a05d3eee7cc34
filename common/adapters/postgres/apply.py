"""State changes: a batch of transitions is one statement and one commit, each guarded by state and lease number (I2, I3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from common.adapters.postgres.connection import Database, DataError, Session
from common.adapters.postgres.documents import detail_text, document, failure_text, foreign, plan_fields, seconds
from common.core.after_step import REMIND_IN
from common.core.lifecycle import Detail, Ended, NextStep, Transition
from common.core.task import Failure, State

# `locked` takes every task of the batch in id order (two batches in opposite order deadlock: measured) and returns the
# newest version; `held` judges the guards on that, by the clock as it is after the wait.
# An attempt's end is written whether or not the guards hold; a late one cannot contradict what is known by now.
APPLY: Final = """
WITH wanted AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json) AS w(
        task_id uuid, next boolean, kind text, source text, lease_no int, event_seq int, target text, check_in float8,
        actor text, detail text, waiting_for text, wait_until float8, only_if_due boolean, costs_attempt int,
        resets_attempts boolean, resets_replans boolean, kind_of_task text, priority int, closes_approval boolean,
        plan_number int, plan_steps text, plan_last_step text, plan_risk_floor risk, plan_risk risk, plan_reasons text,
        plan_needs_approval boolean, plan_kept_steps int, plan_cost_cap bigint, plan_policy_version int, plan_source text,
        ask_digest text, ask_requested_by uuid, ask_required int, ask_expires_in float8,
        step_id text, number int, outcome text, output text, failure text, decided_by text)
), locked AS MATERIALIZED (
    SELECT t.id, t.workspace, t.state, t.lease_no, t.event_seq, t.event_head, t.next_check_at, t.plan_number, t.not_before,
        t.deadline, t.cancel_requested_at, t.cancel_requested_by, t.cancel_note
    FROM tasks t JOIN wanted w ON w.task_id = t.id ORDER BY t.id FOR NO KEY UPDATE OF t
), held AS MATERIALIZED (
    SELECT w.*, t.workspace, t.event_seq + 1 AS seq, t.event_head, t.plan_number AS present_plan, t.not_before, t.deadline,
        t.cancel_requested_at, clock_timestamp() AS now,
        -- whose the event is: a cancel is the person's who asked for it, though a worker carries it out
        CASE WHEN w.kind = 'cancelled' THEN coalesce(t.cancel_requested_by, w.actor) ELSE w.actor END AS by,
        CASE WHEN w.kind = 'cancelled' AND w.detail IS NULL AND t.cancel_note IS NOT NULL
            THEN json_build_object('note', t.cancel_note)::text ELSE w.detail END AS said
    FROM wanted w JOIN locked t ON t.id = w.task_id
    WHERE t.state = w.source AND t.lease_no = w.lease_no AND (w.event_seq IS NULL OR w.event_seq = t.event_seq)
    AND (NOT w.only_if_due OR (t.next_check_at <= clock_timestamp() AND NOT EXISTS (
        SELECT FROM step_attempts a WHERE a.task_id = t.id AND a.outcome IS NULL
        AND a.must_end_by + interval '5 s' > clock_timestamp())))
    AND (NOT w.next OR (SELECT count(*) FILTER (WHERE a.number = w.number AND a.outcome IS NULL) > 0
            OR w.number IS NULL AND count(*) FILTER (WHERE a.outcome = 'done' OR a.outcome IS NULL) = 0
        FROM step_attempts a WHERE a.task_id = t.id AND a.step_id = w.step_id))
), closed AS (
    UPDATE step_attempts a SET ended_at = clock_timestamp(), reported_late = h.task_id IS NULL,
        decided_by = coalesce(w.decided_by, a.decided_by), failure = w.failure::json,
        outcome = CASE WHEN clash.it THEN 'unknown' ELSE w.outcome END,
        output = CASE WHEN NOT clash.it THEN w.output::json END
    FROM wanted w LEFT JOIN held h ON h.task_id = w.task_id, LATERAL (
        -- repeated under its key, and the repetition is open or done: one step is done once (I6)
        SELECT w.outcome <> 'not_done' AND EXISTS (
            SELECT FROM step_attempts b WHERE b.task_id = w.task_id AND b.step_id = w.step_id AND b.number <> w.number
            AND (b.outcome IS NULL OR b.outcome = 'done' OR (b.outcome = 'unknown' AND b.effect = 'non_idempotent'))) AS it
    ) clash
    -- A stale rescue only guessed: it speaks for no attempt that is not lost. A person's word counts with its
    -- transition or not at all. What is left of the stale ones is the worker's, who was there.
    WHERE a.task_id = w.task_id AND a.step_id = w.step_id AND a.number = w.number
    AND (h.task_id IS NOT NULL OR (NOT w.only_if_due AND w.decided_by IS NULL))
    AND (a.outcome IS NULL
        OR (a.outcome = 'unknown' AND a.decided_by IS NULL AND (h.task_id IS NULL OR w.decided_by IS NOT NULL)))
), whole AS (
    INSERT INTO step_attempts (task_id, step_id, number, plan_number, lease_no, effect, idempotency_key, args_sha256,
        needed_approval, begun_at, ended_at, outcome, output, failure, decided_by)
    SELECT h.task_id, h.step_id, 1 + coalesce((
            SELECT max(a.number) FROM step_attempts a WHERE a.task_id = h.task_id AND a.step_id = h.step_id), 0),
        h.present_plan, h.lease_no, 'none', '', '', false, h.now, h.now, h.outcome, h.output::json, h.failure::json,
        h.decided_by
    FROM held h WHERE h.step_id IS NOT NULL AND h.number IS NULL
), written AS (
    INSERT INTO task_events (task_id, seq, workspace, kind, from_state, to_state, actor, lease_no, detail, detail_sha256, prev)
    SELECT task_id, seq, workspace, kind, source, target, by, lease_no, said::json, sha256(convert_to(said, 'UTF8')),
        event_head
    FROM held WHERE NOT next RETURNING task_id, seq, to_state, hash
)%s, moved AS (
    UPDATE tasks t SET state = e.to_state, event_seq = e.seq, event_head = e.hash, worker_id = NULL,
        next_check_at = CASE
            WHEN h.check_in IS NULL THEN NULL
            WHEN h.target IN ('queued', 'received') AND h.cancel_requested_at IS NOT NULL THEN h.now
            WHEN h.target = 'queued' THEN
                least(greatest(h.now + h.check_in * interval '1 s', h.not_before), h.deadline)
            WHEN h.target IN ('received', 'awaiting_approval') THEN least(h.now + h.check_in * interval '1 s', h.deadline)
            ELSE h.now + h.check_in * interval '1 s' END,
        finished_at = CASE WHEN h.check_in IS NULL THEN h.now END,
        attempts = CASE WHEN h.resets_attempts THEN 0 ELSE t.attempts + h.costs_attempt END,
        replans = CASE WHEN h.resets_replans THEN 0 WHEN h.kind = 'replanned' THEN t.replans + 1 ELSE t.replans END,
        waiting_for = CASE WHEN h.target = 'queued' AND h.waiting_for IS NULL AND h.not_before > h.now THEN 'delay'
            ELSE h.waiting_for END,
        wait_until = h.now + h.wait_until * interval '1 s',
        cancel_requested_at = CASE WHEN h.check_in IS NOT NULL THEN t.cancel_requested_at END,
        cancel_requested_by = CASE WHEN h.check_in IS NOT NULL THEN t.cancel_requested_by END,
        plan_number = coalesce(h.plan_number, t.plan_number), kind = coalesce(h.kind_of_task, t.kind),
        priority = coalesce(h.priority, t.priority)
    FROM written e JOIN held h USING (task_id) WHERE t.id = e.task_id RETURNING t.id
)
SELECT id FROM moved UNION ALL SELECT task_id FROM held WHERE next"""

PLANNED: Final = """, planned AS (
    INSERT INTO plans (task_id, number, steps, last_step, risk_floor, risk, reasons, needs_approval, kept_steps, cost_cap,
        policy_version, source)
    SELECT task_id, plan_number, plan_steps::json, plan_last_step, plan_risk_floor, plan_risk, plan_reasons::json, plan_needs_approval,
        plan_kept_steps, plan_cost_cap, plan_policy_version, plan_source
    FROM held WHERE plan_number IS NOT NULL
)"""

CLOSED: Final = """, replaced AS (
    UPDATE approvals a SET closed_at = h.now FROM held h
    WHERE a.task_id = h.task_id AND a.closed_at IS NULL AND (h.closes_approval OR h.ask_digest IS NOT NULL)
    RETURNING a.id
)"""

# reads `replaced`, so that the old one is closed before the new one is opened: one is open at a time
ASKED: Final = """, asked AS (
    INSERT INTO approvals (id, task_id, plan_number, digest, requested_by, required, expires_at)
    SELECT uuidv7(), task_id, coalesce(plan_number, present_plan), ask_digest, ask_requested_by, ask_required,
        now + ask_expires_in * interval '1 s'
    FROM held WHERE ask_digest IS NOT NULL AND (SELECT count(*) FROM replaced) >= 0
)"""

# a batch without plans and questions is the busy one: it is not planned for them
SHORT: Final = APPLY % CLOSED
WHOLE: Final = APPLY % (PLANNED + CLOSED + ASKED)

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
    return frozenset(row[0] for row in session.run(_statement(batch), _document(batch)))


def _run(database: Database, batch: Sequence[Transition | NextStep]) -> frozenset[UUID]:
    return frozenset(row[0] for row in database.run(_statement(batch), _document(batch)))


def _statement(batch: Sequence[Transition | NextStep]) -> str:
    plain = all(isinstance(change, NextStep) or (change.plan is None and change.ask is None) for change in batch)
    return SHORT if plain else WHOLE


def _document(batch: Sequence[Transition | NextStep]) -> str:
    return document([_row(change) for change in batch])


def _row(change: Transition | NextStep) -> dict[str, object]:
    if isinstance(change, NextStep):
        return {
            "task_id": change.task_id,
            "next": True,
            "source": State.RUNNING.value,
            "lease_no": change.lease_no,
            "only_if_due": False,
            **_ended_fields(change.ended),
        }
    row: dict[str, object] = {
        "task_id": change.task_id,
        "next": False,
        "kind": change.kind,
        "source": change.source.value,
        "lease_no": change.lease_no,
        "event_seq": change.event_seq,
        "target": change.target.value,
        "check_in": seconds(change.check_in),
        "actor": change.actor,
        "detail": detail_text(change.detail),
        "waiting_for": change.waiting_for,
        "wait_until": seconds(change.wait_until),
        "only_if_due": change.only_if_due,
        "costs_attempt": int(change.costs_attempt),
        "resets_attempts": change.resets_attempts,
        "resets_replans": change.resets_replans,
        "kind_of_task": change.kind_of_task,
        "priority": change.priority,
        "closes_approval": change.closes_approval,
        **plan_fields(change.plan),
        **_ended_fields(change.ended),
    }
    if change.ask is not None:
        row["ask_digest"] = change.ask.digest
        row["ask_requested_by"] = change.ask.requested_by
        row["ask_required"] = change.ask.required
        row["ask_expires_in"] = seconds(change.ask.expires_in)
    return row


def _ended_fields(ended: Ended | None) -> dict[str, object]:
    if ended is None:
        return {}
    return {
        "step_id": ended.step_id,
        "number": ended.number,
        "outcome": ended.outcome.value,
        # an output of null is one too: JSON's null, not SQL's
        "output": foreign(ended.output),
        "failure": failure_text(ended.failure),
        "decided_by": ended.decided_by,
    }
