"""How risky a step is, and what a plan is compared with: what was done before it (I6), the plan that it replaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.actions.contract import Known
from common.actions.reading import Understood, data_fields
from common.core.json_limits import same
from common.core.policy import Policy
from common.core.task import Json, Origin, Reason, Request, Risk, Step


@dataclass(frozen=True, slots=True)
class Compared:
    """A step as it is compared: its floor, what makes two of its kind the same effect, whom it reaches."""

    step: Step
    floor: Risk
    essence: Json
    targets: frozenset[str]
    data_fields: frozenset[str]
    whole: bool  # no result is still to be filled in: it is known what it will hold


def floors(
    step: Step, read: Understood | None, request: Request, policy: Policy, results: frozenset[str] | None
) -> tuple[Reason, ...]:
    """Why one step is how risky. What cannot be read, or is refused as a target, is high (I5).

    `results`: the arguments that hold results, or held them before they were filled in; None: unreadable.
    """
    if read is None or results is None:
        return _unreadable(step)
    text = "" if request.origin is Origin.DERIVED else request.text or ""
    try:
        found = read.action.floors(read.args, Known(policy, text, results))
        refused = read.action.refusals(read.args, policy)
    except Exception:  # noqa: BLE001 - actions are plug-ins; whatever it is, it was not read
        return _unreadable(step)
    if refused:
        found = (*found, Reason(rule="refused_target", floor=Risk.HIGH))
    return tuple([reason.model_copy(update={"step": step.id}) for reason in found]) if found else ()


def _unreadable(step: Step) -> tuple[Reason, ...]:
    return (Reason(rule="unreadable", step=step.id, floor=Risk.HIGH),)


def aims(read: Understood | None) -> frozenset[str]:
    """Whom a step reaches, and the words that decide what it does there."""
    if read is None:
        return frozenset({"unreadable"})
    data, essence = data_fields(read.action.args_model), read.action.essence(read.args)
    said = essence.items() if isinstance(essence, dict) else ()
    words = {f"{name}={value}" for name, value in said if isinstance(value, str) and name not in data}
    return read.action.targets(read.args) | words


def comparable(step: Step, read: Understood | None, floor: Risk, *, whole: bool) -> Compared:
    """A step as plans are compared. `whole`: it holds no result that is still to come."""
    if read is None:
        return Compared(step, floor, dict(step.args), frozenset(), frozenset(), whole=True)
    try:
        essence, targets = read.action.essence(read.args), read.action.targets(read.args)
    except Exception:  # noqa: BLE001 - actions are plug-ins; then all that it was given is compared
        essence, targets = dict(step.args), frozenset()
    return Compared(step, floor, essence, targets, data_fields(read.action.args_model), whole=whole)


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
