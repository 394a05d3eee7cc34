"""The Queue in memory: add, claim, begin, apply, as the PostgreSQL adapter does them in SQL.

What the two must agree on is proved by tests/contract. Each small method is one condition of a statement, so that the
simulator can break them one by one and must notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from common.adapters.memory.store import GRACE, ApprovalRow, AttemptRow, KeyEntry, MemoryStore, TaskRow
from common.core.lifecycle import Ask, Detail, Ended, NextStep, Transition
from common.core.task import LEASED, TERMINAL, Effect, Json, OutcomeKind, Plan, State, Task
from common.ports import Added, AddRefused, Begin, Begun, NewTask, NotBegun, Refusal, Submission

KEYS_KEPT: Final = timedelta(days=7)
CLAIMED: Final = {State.RECEIVED: (State.ANALYZING, "analysis_started"), State.QUEUED: (State.RUNNING, "started")}
LOOKED_AT: Final = frozenset({State.ANALYZING, State.RUNNING, State.AWAITING_APPROVAL, State.MANUAL})
MAY_SUBMIT: Final = frozenset({"operator", "approver", "admin"})


class MemoryQueue:
    """See `common.ports.Queue`."""

    def __init__(self, store: MemoryStore) -> None:
        """`store`: shared with the other adapters."""
        self.store = store

    # --- intake -------------------------------------------------------------------------------------------------

    def add(self, batch: Sequence[Submission]) -> list[Added | AddRefused]:
        """See Queue."""
        with self.store.commit() as now:
            return [self._add_one(submission, now) for submission in batch]

    def _add_one(self, submission: Submission, now: datetime) -> Added | AddRefused:
        token = self.store.tokens.get(submission.token_sha256)
        if token is None or not token.valid(now) or token.kind == "sign_in_code" or token.role not in MAY_SUBMIT:
            return AddRefused.TOKEN
        ids = tuple(task.id for task in submission.tasks)
        if submission.key is not None:
            name = (token.workspace, token.person, submission.route, submission.key)
            known = self.store.keys.get(name)
            if known is not None and known.created_at + KEYS_KEPT > now:
                same = known.body_sha256 == submission.body_sha256
                return Added(known.ids, replayed=True) if same else AddRefused.KEY_CONFLICT
            self.store.keys[name] = KeyEntry(submission.body_sha256, ids, now)
        for task in submission.tasks:
            self._insert(task, now)
        return Added(ids)

    def _insert(self, new: NewTask, now: datetime) -> None:
        row = TaskRow(
            id=new.id,
            workspace=new.workspace,
            request=new.request,
            state=new.target,
            created_at=now,
            since=now,
            next_check_at=None,
            priority=new.priority,
            kind=new.kind,
        )
        row.next_check_at = self.look_again(row, timedelta(0) if new.ask is None else new.ask.expires_in, now)
        if new.target is State.QUEUED and new.request.not_before is not None and new.request.not_before > now:
            row.waiting_for = "delay"
        self.store.tasks[new.id] = row
        if new.plan is not None:
            self._store_plan(row, new.plan)
        if new.ask is not None:
            self._open_approval(row, new.ask, now)
        self.store.write_event(row, "submitted", None, now, new.actor, {})

    # --- leases -------------------------------------------------------------------------------------------------

    def claim(self, state: State, worker: str, limit: int, lease: timedelta) -> list[Task]:
        """See Queue."""
        with self.store.commit() as now:
            by_workspace: dict[UUID, list[TaskRow]] = {}
            for row in self.store.tasks.values():
                if row.state is state and self.is_due(row, now) and not self.held_back(row):
                    by_workspace.setdefault(row.workspace, []).append(row)
            share = max(1, limit // max(1, len(by_workspace)))
            ready = [r for rows in by_workspace.values() for r in sorted(rows, key=lambda r: r.claim_order)[:share]]
            chosen = sorted(ready, key=lambda r: r.claim_order)[:limit]
            return [self._lease(row, worker, lease, now) for row in chosen]

    def is_due(self, row: TaskRow, now: datetime) -> bool:
        """Its `next_check_at` has passed."""
        return row.next_check_at is not None and row.next_check_at <= now

    def held_back(self, row: TaskRow) -> bool:
        """What is queued in a paused workspace is not claimed; analysis goes on."""
        return row.state is State.QUEUED and self.store.paused(row.workspace)

    def next_lease_no(self, row: TaskRow) -> int:
        """The fencing token (I3)."""
        return row.lease_no + 1

    def _lease(self, row: TaskRow, worker: str, lease: timedelta, now: datetime) -> Task:
        source = row.state
        row.state, kind = CLAIMED[source]
        row.lease_no = self.next_lease_no(row)
        row.worker = worker
        row.waiting_for = None
        row.since = now
        row.next_check_at = now + lease
        self.store.write_event(row, kind, source, now, worker, {})
        return row.public(now)

    def renew(self, held: Sequence[tuple[UUID, int]], lease: timedelta) -> frozenset[UUID]:
        """See Queue."""
        with self.store.commit() as now:
            kept = set()
            for task, lease_no in held:
                row = self.store.tasks.get(task)
                if row is None or row.state not in LEASED or row.lease_no != lease_no or row.next_check_at is None:
                    continue
                row.next_check_at = max(row.next_check_at, now + lease)
                kept.add(task)
            return frozenset(kept)

    # --- the gate -----------------------------------------------------------------------------------------------

    def begin(self, wanted: Sequence[Begin]) -> list[Begun | NotBegun]:
        """See Queue."""
        with self.store.commit() as now:
            return [self._begin_one(begin, now) for begin in wanted]

    def _begin_one(self, begin: Begin, now: datetime) -> Begun | NotBegun:
        row = self.store.tasks.get(begin.task_id)
        if row is None or not self.holds_lease(row, begin, now):
            return NotBegun(begin.task_id, begin.step_id, Refusal.STALE)
        why = self.refusal(row, begin, now)
        if why is not None:
            return NotBegun(begin.task_id, begin.step_id, why)
        approval = self.store.open_approval(row.id)
        number = 1 + max((a.number for a in row.trail if a.step_id == begin.step_id), default=0)
        must_end_by = now + begin.timeout
        row.trail.append(
            AttemptRow(
                step_id=begin.step_id,
                number=number,
                plan_number=begin.plan_number,
                lease_no=begin.lease_no,
                effect=begin.effect,
                idempotency_key=begin.idempotency_key,
                args_sha256=begin.args_sha256,
                begun_at=now,
                must_end_by=must_end_by,
                needed_approval=begin.needs_approval,
                approval_id=approval.id if approval is not None and begin.needs_approval else None,
            )
        )
        row.next_check_at = self.lease_while_begun(row, must_end_by)
        return Begun(begin.task_id, begin.step_id, number, begin.timeout)

    def refusal(self, row: TaskRow, begin: Begin, now: datetime) -> Refusal | None:
        """Why a task whose lease holds may not begin this attempt; the order is that of the SQL."""
        if row.cancel_requested_at is not None:
            return Refusal.CANCELLED
        if self.is_paused(row):
            return Refusal.PAUSED
        if self.store.policy_version(row.workspace) != begin.policy_version:
            return Refusal.POLICY_CHANGED
        if self.is_undecided(row, begin):
            return Refusal.UNDECIDED
        if begin.needs_approval and not self.is_approved(row, begin, now):
            return Refusal.APPROVAL_NEEDED
        return None

    def holds_lease(self, row: TaskRow, begin: Begin, now: datetime) -> bool:
        """Running, under this number, and not over (I3)."""
        alive = row.next_check_at is not None and row.next_check_at > now
        return row.state is State.RUNNING and row.lease_no == begin.lease_no and alive

    def is_paused(self, row: TaskRow) -> bool:
        """Read in the commit that begins: a pause once acknowledged is never overtaken."""
        return self.store.paused(row.workspace)

    def is_undecided(self, row: TaskRow, begin: Begin) -> bool:
        """An attempt of the step is open, done, or unknown and not to be repeated (I6)."""
        return any(a.step_id == begin.step_id and a.claims_the_step for a in row.trail)

    def is_approved(self, row: TaskRow, begin: Begin, now: datetime) -> bool:
        """The open approval is over what the worker holds, decided, in time, and the risk has not outgrown it (I4, I5)."""
        approval = self.store.open_approval(row.id)
        if approval is None or not approval.is_valid(begin.digest, now):
            return False
        return self.store.plans[row.id, approval.plan_number].risk.rank >= begin.risk.rank

    def lease_while_begun(self, row: TaskRow, must_end_by: datetime) -> datetime:
        """Nobody else speaks for the attempt before it must have ended, and some."""
        return max(row.next_check_at or must_end_by, must_end_by + GRACE)

    # --- transitions --------------------------------------------------------------------------------------------

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
            self._append_late(row, change.ended, now)
            return False
        self._write(row, change, now)
        return True

    def is_next(self, row: TaskRow, change: NextStep) -> bool:
        """The lease is the worker's and the step has not been ended before."""
        if row.state is not State.RUNNING or row.lease_no != change.lease_no:
            return False
        return self._endable(row, change.ended)

    def _endable(self, row: TaskRow, ended: Ended) -> bool:
        mine = [a for a in row.trail if a.step_id == ended.step_id]
        if ended.number is None:
            return not any(a.outcome is OutcomeKind.DONE for a in mine)
        return any(a.number == ended.number and a.outcome is None for a in mine)

    def guards_hold(self, row: TaskRow, change: Transition, now: datetime) -> bool:
        """State, lease number (I3), event number where given, and that it is due where asked."""
        if row.state is not change.source or row.lease_no != change.lease_no:
            return False
        if change.event_seq is not None and row.event_seq != change.event_seq:
            return False
        return not change.only_if_due or (self.is_due(row, now) and not row.in_flight(now))

    def _write(self, row: TaskRow, change: Transition, now: datetime) -> None:
        source = row.state
        row.state = change.target
        row.worker = None
        row.since = now
        row.waiting_for = change.waiting_for
        row.kind = change.kind_of_task or row.kind
        row.priority = row.priority if change.priority is None else change.priority
        row.attempts = 0 if change.resets_attempts else row.attempts + change.costs_attempt
        row.replans = 0 if change.resets_replans else row.replans + (change.kind == "replanned")
        row.failure = change.detail.failure or row.failure
        if change.plan is not None:
            self._store_plan(row, change.plan)
        if change.ended is not None:
            self._end(row, change.ended, now)
        self._keep_wait(row, change, now)
        if change.ask is not None or change.closes_approval:
            self._close_approval(row, now)
        if change.ask is not None:
            self._open_approval(row, change.ask, now)
        row.next_check_at = None if change.check_in is None else self.look_again(row, change.check_in, now)
        row.finished_at = now if change.target in TERMINAL else None
        self.write_event(row, change, source, now)

    def write_event(self, row: TaskRow, change: Transition, source: State, now: datetime) -> None:
        """In the same commit (I2)."""
        self.store.write_event(row, change.kind, source, now, change.actor, _detail(change.detail))

    def look_again(self, row: TaskRow, check_in: timedelta, now: datetime) -> datetime:
        """When the task is looked at next (I9)."""
        at = now + check_in
        deadline = row.request.deadline
        if row.state is State.QUEUED and row.cancel_requested_at is not None:
            return now
        if row.state is State.QUEUED and row.request.not_before is not None:
            at = max(at, row.request.not_before)
        if deadline is not None and row.state in {State.QUEUED, State.RECEIVED, State.AWAITING_APPROVAL}:
            at = min(at, deadline)
        return at

    def _keep_wait(self, row: TaskRow, change: Transition, now: datetime) -> None:
        if change.wait_until is not None:
            row.wait_until = now + change.wait_until
        elif change.plan is not None or (change.ended is not None and change.ended.outcome is OutcomeKind.DONE):
            row.wait_until = None

    def _store_plan(self, row: TaskRow, plan: Plan) -> None:
        self.store.plans[row.id, plan.number] = plan
        row.plan = plan

    def _open_approval(self, row: TaskRow, ask: Ask, now: datetime) -> None:
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

    def _close_approval(self, row: TaskRow, now: datetime) -> None:
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

    def _append_late(self, row: TaskRow, ended: Ended | None, now: datetime) -> None:
        if ended is None or ended.number is None:
            return
        mine = [a for a in row.trail if a.step_id == ended.step_id]
        attempt = next((a for a in mine if a.number == ended.number), None)
        if attempt is None or attempt.decided_by is not None:
            return
        if attempt.outcome not in {None, OutcomeKind.UNKNOWN}:
            return
        # A later attempt of the step may be open or done by now: two that claim the step are refused by the database (I6).
        taken = any(a is not attempt and a.claims_the_step for a in mine)
        if taken and ended.outcome is not OutcomeKind.NOT_DONE:
            return
        _close(attempt, ended, now)
        attempt.reported_late = True

    # --- looking ------------------------------------------------------------------------------------------------

    def request_cancel(self, workspace: UUID, task: UUID, note: str | None, actor: str) -> bool:
        """See Queue."""
        with self.store.commit() as now:
            row = self.store.tasks.get(task)
            if row is None or row.workspace != workspace or row.state not in LEASED:
                return False
            row.cancel_requested_at = row.cancel_requested_at or now
            row.cancel_note = note
            return True

    def due(self, limit: int) -> list[Task]:
        """See Queue."""
        with self.store.commit() as now:
            rows = [r for r in self.store.tasks.values() if self.needs_maintenance(r, now)]
            rows.sort(key=lambda r: r.next_check_at or now)
            return [row.public(now) for row in rows[:limit]]

    def needs_maintenance(self, row: TaskRow, now: datetime) -> bool:
        """Its time has passed, no function claims it, and no attempt of it may still be in flight."""
        return row.state in LOOKED_AT and self.is_due(row, now) and not row.in_flight(now)

    def get(self, workspace: UUID, ids: Sequence[UUID]) -> list[Task]:
        """See Queue."""
        with self.store.commit() as now:
            rows = [self.store.tasks.get(task) for task in ids]
            return [row.public(now) for row in rows if row is not None and row.workspace == workspace]


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
    return {**said, **detail.data}
