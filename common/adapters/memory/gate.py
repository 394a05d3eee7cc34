"""The gate in memory: what adapters/postgres/gate.py does in one statement, each of its conditions a method."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from common.adapters.memory.rows import AttemptRow, TaskRow
from common.adapters.memory.store import MemoryStore
from common.core.lifecycle import GRACE
from common.core.task import Effect, OutcomeKind, State
from common.ports import Begin, Begun, NotBegun, Refusal


class MemoryGate:
    """`begin` of `common.ports.Queue`."""

    def __init__(self, store: MemoryStore) -> None:
        """`store`: shared with the other adapters."""
        self.store = store

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
        if row.request.deadline is not None and row.request.deadline <= now:
            return Refusal.DEADLINE
        if self.is_paused(row):
            return Refusal.PAUSED
        if self.store.policy_version(row.workspace) != begin.policy_version:
            return Refusal.POLICY_CHANGED
        if self.is_undecided(row, begin):
            return Refusal.UNDECIDED
        if begin.needs_approval and not self.is_approved(row, begin, now):
            return Refusal.APPROVAL_NEEDED
        if self.is_spent(row):
            return Refusal.COST_CAP
        return None

    def holds_lease(self, row: TaskRow, begin: Begin, now: datetime) -> bool:
        """Running, under this number, and not over (I3)."""
        alive = row.next_check_at is not None and row.next_check_at > now
        ours = row.lease_no == begin.lease_no and row.plan is not None and row.plan.number == begin.plan_number
        return row.state is State.RUNNING and ours and alive

    def is_paused(self, row: TaskRow) -> bool:
        """Read in the commit that begins: a pause once acknowledged is never overtaken."""
        return self.store.paused(row.workspace)

    def is_undecided(self, row: TaskRow, begin: Begin) -> bool:
        """An attempt of the step is open, done, or unknown and not to be repeated (I6), by what it was or by now."""
        mine = [a for a in row.trail if a.step_id == begin.step_id]
        spoken_of = max((a.number for a in mine if a.decided_by is not None), default=0)
        doubted = begin.effect is Effect.NON_IDEMPOTENT and any(
            a.outcome is OutcomeKind.UNKNOWN and a.number > spoken_of for a in mine
        )
        return doubted or any(a.claims_the_step for a in mine)

    def is_approved(self, row: TaskRow, begin: Begin, now: datetime) -> bool:
        """The open approval is over what the worker holds, decided, in time, and not outgrown by the risk (I4, I5)."""
        approval = self.store.open_approval(row.id)
        if approval is None or not approval.is_valid(begin.digest, now):
            return False
        return self.store.plans[row.id, approval.plan_number].risk.rank >= begin.risk.rank

    def is_spent(self, row: TaskRow) -> bool:
        """What executing the plan may cost has been paid, or is reserved."""
        if row.plan is None or row.plan.cost_cap is None:
            return False
        calls = [c for c in self.store.calls.values() if c.purpose == "generate" and row.id in c.task_ids]
        return sum(c.held for c in calls) >= row.plan.cost_cap

    def lease_while_begun(self, row: TaskRow, must_end_by: datetime) -> datetime:
        """Nobody else speaks for the attempt before it must have ended, and some."""
        return max(row.next_check_at or must_end_by, must_end_by + GRACE)
