"""What people said yes to, and what begins and happens in the world: looked at without the gate's own eyes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from common.actions.contract import is_ref
from common.adapters.memory.rows import TaskRow
from common.adapters.memory.store import MemoryStore
from common.core.digest import args_sha256
from common.core.task import Effect, Plan, Risk, Step
from common.ports import Begin, Begun, NotBegun
from tests.simulator.far_side import FarSide
from tests.simulator.known import Violation, broken
from tests.simulator.readings import Readings


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person said yes to: exactly these steps, at this risk, at this time."""

    number: int
    steps: tuple[Step, ...]
    risk: Risk
    until: datetime


@dataclass(slots=True)
class Grants:
    """Of every task what was granted, and what each worker has in its hand."""

    store: MemoryStore
    readings: Readings
    held: dict[tuple[UUID, int], Plan | None] = field(default_factory=dict)
    given: dict[UUID, Grant] = field(default_factory=dict)

    def over(self, task: UUID) -> None:
        """Nothing may begin under a yes that was given before."""
        self.given.pop(task, None)

    def begun(self, wanted: Sequence[Begin], answers: Sequence[Begun | NotBegun], alive: Sequence[bool]) -> None:
        """After the gate: each attempt that may run (I3, I4, I5, I6)."""
        for begin, answer, lease_held in zip(wanted, answers, alive, strict=True):
            if isinstance(answer, NotBegun):
                continue
            row = self.store.tasks[begin.task_id]
            if not lease_held:
                broken("I3", row, "began without a lease")
            if row.cancel_requested_at is not None:
                broken("cancel", row, "began after a cancel was acknowledged")
            if self.store.paused(row.workspace):
                broken("pause", row, "began while paused")
            self._permitted(row, begin)

    def _permitted(self, row: TaskRow, begin: Begin) -> None:
        plan = self.held.get((row.id, begin.lease_no))
        if plan is None:
            raise Violation(f"I4: {row.id} began without a plan in hand")
        risk = self.readings.least(row.id, plan.steps)
        if risk.rank <= self.readings.autorun(row.workspace).rank and not any(reason.asks for reason in plan.reasons):
            return
        grant = self.given.get(row.id)
        if grant is None:
            broken("I4", row, f"{risk} began without anybody's yes")
        if (grant.number, grant.steps) != (plan.number, plan.steps):
            broken("I4", row, "other steps were approved")
        if grant.until <= self.store.now:
            broken("I4", row, f"the yes was valid until {grant.until}")
        if grant.risk.rank < risk.rank:
            broken("I5", row, f"{grant.risk} was approved, it is {risk}")
        step = next(s for s in grant.steps if s.id == begin.step_id)
        if any(is_ref(value) for value in step.args.values()):
            return
        if begin.args_sha256 != args_sha256(step.action, step.args):
            broken("I4", row, "other arguments than the approved ones")

    def effect(self, what: str, key: str, effect: Effect, far: FarSide) -> None:
        """At the far side, as an effect happens: it is on record, and no blind repetition (I6)."""
        mine = [a for row in self.store.tasks.values() for a in row.trail if a.idempotency_key == key]
        if not any(attempt.outcome is None for attempt in mine):
            raise Violation(f"I6: {what} happens, and no open attempt is on record")
        if effect is Effect.NON_IDEMPOTENT and far.effects[what]:
            raise Violation(f"I6: {what} happens a second time")
        if effect is Effect.IDEMPOTENT and far.keys.get(what, {key}) != {key}:
            raise Violation(f"I6: {what} happens under a second key")
