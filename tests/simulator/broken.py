"""Deliberately wrong parts, each by one condition. The simulator has to notice every one of them."""

# ruff: noqa: ARG002 - a wrong part does not look at what it should look at: that is what is wrong with it

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import pytest

from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.queue import MemoryQueue
from common.adapters.memory.rows import AttemptRow, BudgetEntry, TaskRow
from common.core.lifecycle import NextStep, Transition
from common.core.policy import Assessment, Policy
from common.core.task import Effect, State, Step
from common.ports import Begin, Begun, NotBegun, Refusal
from tests.simulator.far_side import Actions
from tests.simulator.world import World


class GuardWithoutLease(MemoryQueue):
    """A transition looks at the state alone, as a late worker would like it."""

    def guards_hold(self, row: TaskRow, change: Transition, now: datetime) -> bool:
        """Any lease number will do."""
        return row.state is change.source


class StepWithoutGuard(MemoryQueue):
    """The end of a step looks at the state alone, as a batch that arrives twice would like it."""

    def is_next(self, row: TaskRow, change: NextStep) -> bool:
        """Any lease number will do, and any attempt."""
        return row.state is State.RUNNING


class SameLease(MemoryQueue):
    """A claim does not raise the fencing token."""

    def next_lease_no(self, row: TaskRow) -> int:
        """As before."""
        return max(row.lease_no, 1)


class EffectFirst(MemoryQueue):
    """The gate says yes and writes its record only with the outcome."""

    def begin(self, wanted: Sequence[Begin]) -> list[Begun | NotBegun]:
        """Everything as it should be, but for the commit."""
        answers = super().begin(wanted)
        begun = {(a.task_id, a.step_id, a.number) for a in answers if isinstance(a, Begun)}
        for row in self.store.tasks.values():
            row.trail = [a for a in row.trail if (row.id, a.step_id, a.number) not in begun]
        return answers


class GateWithoutPause(MemoryQueue):
    """A pause stops claims, but not what was claimed before."""

    def is_paused(self, row: TaskRow) -> bool:
        """Never."""
        return False


class GateWithoutCancel(MemoryQueue):
    """What was asked to be cancelled begins all the same."""

    def refusal(self, row: TaskRow, begin: Begin, now: datetime) -> Refusal | None:
        """As if nobody had asked."""
        why = super().refusal(row, begin, now)
        return None if why is Refusal.CANCELLED else why


class GateWithoutPolicy(MemoryQueue):
    """An assessment under an older policy is believed."""

    def refusal(self, row: TaskRow, begin: Begin, now: datetime) -> Refusal | None:
        """As if policy never changed."""
        why = super().refusal(row, begin, now)
        return None if why is Refusal.POLICY_CHANGED else why


class GateWithoutDigest(MemoryQueue):
    """An approval is an approval, whatever it was over."""

    def is_approved(self, row: TaskRow, begin: Begin, now: datetime) -> bool:
        """Whatever the worker holds."""
        approval = self.store.open_approval(row.id)
        return approval is not None and approval.is_valid(approval.digest, now)


class ApprovalForEver(MemoryQueue):
    """An approval does not grow old."""

    def is_approved(self, row: TaskRow, begin: Begin, now: datetime) -> bool:
        """By nobody's clock."""
        approval = self.store.open_approval(row.id)
        return approval is not None and approval.is_valid(begin.digest, row.created_at)


class NoNextLook(MemoryQueue):
    """What goes to a person has no `next_check_at`."""

    def look_again(self, row: TaskRow, check_in: Any, now: datetime) -> Any:  # noqa: ANN401 - None, where a time must be
        """Somebody will see it."""
        return None if row.state is State.MANUAL else super().look_again(row, check_in, now)


class EarlyRescue(MemoryQueue):
    """A lost lease is rescued while its attempt may still be in flight."""

    def lease_while_begun(self, row: TaskRow, must_end_by: datetime) -> datetime:
        """The lease is as long as it was."""
        return row.next_check_at or must_end_by

    def in_flight(self, row: TaskRow, now: datetime) -> bool:
        """Whoever does not answer is dead."""
        return False


class NoEvent(MemoryQueue):
    """A snooze is not worth a line in the history."""

    def write_event(self, row: TaskRow, change: Transition, source: State, now: datetime) -> None:
        """Most of them."""
        if change.kind != "snoozed":
            super().write_event(row, change, source, now)


class FreeRetries(MemoryQueue):
    """A lost lease costs no attempt."""

    def attempts_after(self, row: TaskRow, change: Transition) -> int:
        """Only what failed."""
        return row.attempts if change.kind == "lease_lost" else super().attempts_after(row, change)


class ApprovalOutlivesPlan(MemoryQueue):
    """An approval stays open whatever becomes of its plan."""

    def close_approval(self, row: TaskRow, now: datetime) -> None:
        """Only when another is asked for."""
        if row.state is State.AWAITING_APPROVAL:
            super().close_approval(row, now)


class LateOverrules(MemoryQueue):
    """A late outcome is believed over what is on record."""

    def may_append(self, attempt: AttemptRow) -> bool:
        """Whatever it says."""
        return True


class BudgetWithoutCondition(MemoryBudget):
    """A reservation does not look at the cap."""

    def has_room(self, month: BudgetEntry, amount: int) -> bool:
        """Always."""
        return True


class AllIdempotent(Actions):
    """Every effect is taken for one that may be repeated."""

    def effect(self, step: Step, policy: Policy) -> Effect:
        """If there is one."""
        effect = super().effect(step, policy)
        return Effect.IDEMPOTENT if effect is Effect.NON_IDEMPOTENT else effect


class RiskForgotten(Actions):
    """A new plan is assessed as if there had been none before it, and the model had said nothing."""

    def assess(self, steps: Any, request: Any, policy: Policy, **known: Any) -> Assessment:  # noqa: ANN401 - as it is there
        """Floors only."""
        return super().assess(steps, request, policy, kept=known.get("kept", ()))


@dataclass(frozen=True, slots=True)
class Variant:
    """One wrong part, and the invariants by one of which it must be noticed."""

    name: str
    noticed_by: tuple[str, ...]
    queue: type[MemoryQueue] = MemoryQueue
    parts: dict[str, Any] = field(default_factory=dict)
    patch: Callable[[pytest.MonkeyPatch], None] = lambda _: None
    first: int = 0  # the seed from which it is looked for: a rare one is found soon near the last that found it

    def world(self, seed: int) -> World:
        """A world with it."""
        return World(seed, self.queue, **self.parts)


def _drop_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("common.analysis.planning.kept_steps", lambda _task: ())


VARIANTS: Final = (
    Variant("a guard without the lease number", ("I3",), GuardWithoutLease),
    Variant("a step's end without a guard", ("I3", "I6"), StepWithoutGuard),
    Variant("a claim that does not raise the fencing token", ("I3",), SameLease),
    Variant("an effect before its record", ("I6",), EffectFirst),
    Variant("a gate that does not look at the pause", ("pause",), GateWithoutPause),
    Variant("a gate that does not look for a cancel", ("cancel",), GateWithoutCancel),
    Variant("a gate that believes an older policy", ("I4",), GateWithoutPolicy),
    Variant("a gate that ignores the digest", ("I4",), GateWithoutDigest),
    Variant("an approval that never grows old", ("I4",), ApprovalForEver),
    Variant("an approval that outlives its plan", ("I4",), ApprovalOutlivesPlan),
    Variant("a missing next_check_at", ("I9",), NoNextLook),
    Variant("a rescue before must_end_by", ("I6",), EarlyRescue),
    Variant("an event that is not written", ("I2",), NoEvent),
    Variant("a lost lease that costs no attempt", ("counters",), FreeRetries),
    Variant("a late outcome that overrules", ("I6",), LateOverrules),
    Variant("a reservation without its condition", ("I7",), parts={"budget": BudgetWithoutCondition}),
    Variant("unknown effects repeated blindly", ("I6",), parts={"catalogue": AllIdempotent}),
    Variant("a retry that lowers the risk", ("I5",), parts={"catalogue": RiskForgotten}),
    Variant("a new plan that drops what was begun", ("I6",), patch=_drop_kept),
)
