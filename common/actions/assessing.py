"""What a plan is compared with: steps that were done before it (I6), and the plan that it replaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.core.json_limits import same
from common.core.task import Json, Reason, Risk, Step


@dataclass(frozen=True, slots=True)
class Compared:
    """A step as it is compared: its floor, what makes two of its kind the same effect, whom it reaches."""

    step: Step
    floor: Risk
    essence: Json
    targets: frozenset[str]
    data_fields: frozenset[str]
    whole: bool  # no result is still to be filled in: it is known what it will hold


def repeated(plan: Sequence[Compared], kept: Sequence[Compared]) -> list[Reason]:
    """A step that would do again what is done or unknown wants a person (I6).

    The kept steps themselves stand in front of the plan, unchanged, and are not run again.
    """
    fresh = [
        compared
        for index, compared in enumerate(plan)
        if not (index < len(kept) and _unchanged(compared.step, kept[index].step))
    ]
    return [
        Reason(rule="repeats_done_step", step=new.step.id, floor=new.floor, values={"done": old.step.id}, asks=True)
        for new in fresh
        for old in [next((old for old in kept if _same(new, old)), None)]
        if old is not None
    ]


def added_targets(plan: Sequence[Compared], earlier: Sequence[Compared]) -> list[Reason]:
    """A new plan that adds an action, host, connection, recipient or secret wants a person."""
    actions = {compared.step.action for compared in earlier}
    targets = frozenset[str]().union(*(compared.targets for compared in earlier))
    reasons = []
    for compared in plan:
        added = sorted(compared.targets - targets)
        if compared.step.action not in actions:
            added = added or [compared.step.action]
        if added:
            shown = ", ".join(target.partition(":")[2] or target for target in added)
            reasons.append(
                Reason(
                    rule="adds_target",
                    step=compared.step.id,
                    floor=compared.floor,
                    values={"added": shown[:300]},
                    asks=True,
                )
            )
    return reasons


def _unchanged(new: Step, old: Step) -> bool:
    try:
        return new.id == old.id and new.action == old.action and same(dict(new.args), dict(old.args))
    except ValueError:  # what cannot be compared is not the same
        return False


def _same(new: Compared, old: Compared) -> bool:
    """Whether two steps may be the same effect; where a result is still to come, data tells nothing of it."""
    if new.step.action != old.step.action:
        return False
    left, right = new.essence, old.essence
    if not (new.whole and old.whole):
        left, right = _without(left, new.data_fields), _without(right, old.data_fields)
    try:
        return same(left, right)
    except ValueError:  # what cannot be compared may be the same
        return True


def _without(essence: Json, data_fields: frozenset[str]) -> Json:
    return (
        {key: value for key, value in essence.items() if key not in data_fields}
        if isinstance(essence, dict)
        else essence
    )
