"""Transitions in memory: what adapters/postgres/apply.py does in one statement, all of a change in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from common.adapters.memory.rows import ApprovalRow, AttemptRow, TaskRow
from common.adapters.memory.store import MemoryStore
from common.core.after_analysis import DIRECT_TAKES
from common.core.lifecycle import GRACE, Ask, Detail, Ended, NextStep, Transition
from common.core.task import TERMINAL, Effect, Json, OutcomeKind, Plan, State


class MemoryApply:
    """`apply` of `common.ports.Queue`."""

    def __init__(self, store: MemoryStore) -> None:
        """`store`: shared with the other adapters."""
        self.store = store

    def apply(self, batch: Sequence[Transition | NextStep]) -> frozenset[UUID]:
        """See Queue."""
        with self.store.commit() as now:
            return frozenset(change.task_id for change in batch if self.apply_one(change, now))

    def apply_one(self, change: Transition | NextStep, now: datetime) -> bool:
        """One change within a commit of the caller's; False, and nothing but a late outcome written, if it is stale."""
        row = self.store.tasks.get(change.task_id)
        if row is None:
            return False
        if isinstance(change, NextStep):
            if not self.is_next(row, change):
                self._append_late(row, change.ended, now)
                return False
            self._end(row, change.ended, now)
            row.wait_until = None
            return True
        if not self.guards_hold(row, change, now):
            if not change.only_if_due:  # maintenance only guesses: it never speaks for an attempt that is not lost
                self._append_late(row, change.ended, now)
            return False
        self._write(row, change, now)
        return True

    def is_next(self, row: TaskRow, change: NextStep) -> bool:
        """The lease is the worker's and the step has not been ended before."""
        if row.state is not State.RUNNING or row.lease_no != change.lease_no:
            return False
        return self.endable(row, change.ended)

    def endable(self, row: TaskRow, ended: Ended) -> bool:
        """Whether this end has not been written before."""
        mine = [a for a in row.trail if a.step_id == ended.step_id]
        if ended.number is None:
            return not any(a.outcome in {OutcomeKind.DONE, None} for a in mine)
        return any(a.number == ended.number and a.outcome is None for a in mine)

    def guards_hold(self, row: TaskRow, change: Transition, now: datetime) -> bool:
        """State, lease number (I3), event number where given, and that it is due where asked."""
        if row.state is not change.source or row.lease_no != change.lease_no:
            return False
        if change.event_seq is not None and row.event_seq != change.event_seq:
            return False
        return not change.only_if_due or (self.is_due(row, now) and not self.in_flight(row, now))

    def is_due(self, row: TaskRow, now: datetime) -> bool:
        """Its `next_check_at` has passed."""
        return row.next_check_at is not None and row.next_check_at <= now

    def _write(self, row: TaskRow, change: Transition, now: datetime) -> None:
        source = row.state
        row.state = change.target
        row.worker = None
        row.since = now
        row.waiting_for = change.waiting_for or self.delayed(row, now)
        row.kind = change.kind_of_task or row.kind
        row.priority = row.priority if change.priority is None else change.priority
        row.batch = change.batch
        row.economy = row.economy if change.economy is None else change.economy
        row.attempts = self.attempts_after(row, change)
        row.replans = 0 if change.resets_replans else row.replans + (change.kind == "replanned")
        row.failure = change.detail.failure or row.failure
        if change.plan is not None:
            self.store_plan(row, change.plan)
        if change.ended is not None:
            self._end(row, change.ended, now)
        if change.wait_until is not None:
            row.wait_until = now + change.wait_until
        elif change.plan is not None or (change.ended is not None and change.ended.outcome is OutcomeKind.DONE):
            row.wait_until = None
        if change.ask is not None or change.closes_approval:
            self.close_approval(row, now)
        if change.ask is not None:
            self.open_approval(row, change.ask, now)
        row.next_check_at = None if change.check_in is None else self.look_again(row, change.check_in, now)
        row.finished_at = now if change.target in TERMINAL else None
        self.write_event(row, change, source, now)
        if change.target in TERMINAL:
            row.cancel_requested_at = row.cancel_requested_by = None

    def attempts_after(self, row: TaskRow, change: Transition) -> int:
        """Failed and lost runs since the plan, or since a person retried."""
        return 0 if change.resets_attempts else row.attempts + change.costs_attempt

    def in_flight(self, row: TaskRow, now: datetime) -> bool:
        """Whether an open attempt may still be ended by the one that began it."""
        return any(a.outcome is None and a.must_end_by + GRACE > now for a in row.trail)

    def write_event(self, row: TaskRow, change: Transition, source: State, now: datetime) -> None:
        """In the same commit (I2)."""
        detail, actor = _detail(change.detail), change.actor
        if change.kind == "cancelled":  # it is the person's who asked for it, though a worker carries it out
            actor = row.cancel_requested_by or actor
            detail = detail or ({} if row.cancel_note is None else {"note": row.cancel_note})
        self.store.write_event(row, change.kind, source, now, actor, detail)

    def delayed(self, row: TaskRow, now: datetime) -> str | None:
        """What a queued task waits for while its `not_before` is ahead."""
        later = row.request.not_before is not None and row.request.not_before > now
        return "delay" if later and row.state is State.QUEUED else None

    def look_again(self, row: TaskRow, check_in: timedelta, now: datetime) -> datetime:
        """When the task is looked at next (I9)."""
        at = now + check_in
        deadline = row.request.deadline
        if row.cancel_requested_at is not None:
            return now  # whoever looks at it carries the request out
        if row.state is State.QUEUED and row.request.not_before is not None:
            at = max(at, row.request.not_before)
        if deadline is not None and row.state in {State.QUEUED, State.RECEIVED, State.AWAITING_APPROVAL}:
            at = min(at, deadline)
        if deadline is not None and row.batch is not None:  # parked by a process that stood still
            at = min(at, deadline - DIRECT_TAKES)
        return at

    def store_plan(self, row: TaskRow, plan: Plan) -> None:
        """Plans are immutable; the task points to its newest."""
        self.store.plans[row.id, plan.number] = plan
        row.plan = plan

    def open_approval(self, row: TaskRow, ask: Ask, now: datetime) -> None:
        """In the commit that begins the wait."""
        if row.plan is None:
            raise AssertionError("an approval is over a plan")
        self.store.approvals.setdefault(row.id, []).append(
            ApprovalRow(
                id=self.store.new_id(),
                task_id=row.id,
                plan_number=row.plan.number,
                digest=ask.digest,
                requested_by=ask.requested_by,
                required=ask.required,
                expires_at=now + ask.expires_in,
            )
        )

    def close_approval(self, row: TaskRow, now: datetime) -> None:
        """Whatever it was: nothing begins under it any more."""
        approval = self.store.open_approval(row.id)
        if approval is not None:
            approval.closed_at = now

    def _end(self, row: TaskRow, ended: Ended, now: datetime) -> None:
        if ended.number is None:
            row.trail.append(self._whole(row, ended, now))
            return
        for attempt in row.trail:
            if (attempt.step_id, attempt.number) != (ended.step_id, ended.number):
                continue
            decided = ended.decided_by is not None and attempt.outcome is OutcomeKind.UNKNOWN
            if attempt.outcome is None or decided:
                _close(attempt, ended, now)

    def _whole(self, row: TaskRow, ended: Ended, now: datetime) -> AttemptRow:
        number = 1 + max((a.number for a in row.trail if a.step_id == ended.step_id), default=0)
        attempt = AttemptRow(
            step_id=ended.step_id,
            number=number,
            plan_number=row.plan.number if row.plan is not None else 1,
            lease_no=row.lease_no,
            effect=Effect.NONE,
            idempotency_key="",
            args_sha256="",
            begun_at=now,
            must_end_by=now,
        )
        _close(attempt, ended, now)
        return attempt

    def may_append(self, attempt: AttemptRow) -> bool:
        """Open or unknown, and no person has said what it did."""
        return attempt.decided_by is None and attempt.outcome in {None, OutcomeKind.UNKNOWN}

    def _append_late(self, row: TaskRow, ended: Ended | None, now: datetime) -> None:
        if ended is None or ended.number is None or ended.decided_by is not None:
            return  # a person's word counts with its transition or not at all
        mine = [a for a in row.trail if a.step_id == ended.step_id]
        attempt = next((a for a in mine if a.number == ended.number), None)
        if attempt is None or not self.may_append(attempt):
            return
        # A later attempt may be open or done by now: two that claim the step are refused by the database (I6).
        if ended.outcome is not OutcomeKind.NOT_DONE and any(a is not attempt and a.claims_the_step for a in mine):
            ended = replace(ended, outcome=OutcomeKind.UNKNOWN, output=None)
        _close(attempt, ended, now)
        attempt.reported_late = True


def _close(attempt: AttemptRow, ended: Ended, now: datetime) -> None:
    attempt.ended_at = now
    attempt.outcome = ended.outcome
    attempt.output = ended.output
    attempt.failure = ended.failure
    attempt.decided_by = ended.decided_by


def _detail(detail: Detail) -> dict[str, Json]:
    said: dict[str, Json] = {}
    if detail.note is not None:
        said["note"] = detail.note
    if detail.failure is not None:
        said["failure"] = detail.failure.model_dump(mode="json", exclude_none=True)
    if detail.data:
        said["data"] = dict(detail.data)
    return said
