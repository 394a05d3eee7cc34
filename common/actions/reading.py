"""Plans and steps, read: every fault with a pointer to the field, what is wrong and how to mend it."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from common import api
from common.actions.contract import Action, Args
from common.core import references
from common.core.errors import FieldError, Invalid
from common.core.json_limits import escape
from common.core.model_faults import worded
from common.core.references import Ref
from common.core.task import STEPS_MAX, Json, Step

Actions = Mapping[str, Action[Any]]
ERRORS_MAX: Final = 100  # of one plan; more help nobody, and would make the answer larger than the request


class Understood(NamedTuple):
    """A step whose arguments were understood. A tuple, which is made four times as fast: each step is read often."""

    step: Step
    action: Action[Any]
    args: Args
    refs: tuple[Ref, ...] | None  # what is still to be filled in; None: something is meant as a reference and is none

    @property
    def result_fields(self) -> frozenset[str] | None:
        """The arguments that hold results; None if that cannot be told."""
        return None if self.refs is None else references.fields_of(self.refs)


class _Remembered(threading.local):
    """What a thread read last."""

    by_id: Mapping[int, Understood] = MappingProxyType({})


class Reader:
    """Reads steps, and remembers.

    The same step is asked about several times in a row (refused? how risky? which effect? run it): it is immutable, so
    each thread remembers the last plan that was read, or the last step. No more: arguments may be large. What is
    remembered holds its step, so no other one can have that step's id meanwhile.
    """

    def __init__(self, actions: Actions) -> None:
        """`actions`: by name."""
        self._actions = actions
        self._remembered = _Remembered()

    def read(
        self, steps: Sequence[api.PlanStep | Step], inputs: Mapping[str, Json], now: datetime, pointer: str
    ) -> tuple[Understood, ...]:
        """See Catalogue.read."""
        understood = read_steps(self._actions, steps, inputs, now, pointer)
        self._remembered.by_id = {id(read.step): read for read in understood}
        return understood

    def known(self, step: Step) -> Understood | None:
        """A stored step, understood; None if there is no such action here, or its arguments do not fit."""
        found = self._remembered.by_id.get(id(step))
        if found is not None:
            return found
        action = self._actions.get(step.action)
        if action is None:
            return None
        try:
            return self.understand(action, step)
        except ValueError:
            return None

    def understand(self, action: Action[Any], step: Step) -> Understood:
        """Read it. ValueError (pydantic's) if the arguments do not fit."""
        args = arguments(action, step.args)
        try:
            refs = references.find(step.args)
        except Invalid:
            refs = None
        found = Understood(step, action, args, refs)
        self._remembered.by_id = {id(step): found}
        return found


def read_steps(
    actions: Actions, steps: Sequence[api.PlanStep | Step], inputs: Mapping[str, Json], now: datetime, pointer: str
) -> tuple[Understood, ...]:
    """See Catalogue.read."""
    if not 1 <= len(steps) <= STEPS_MAX:
        raise Invalid((FieldError(f"{pointer}/steps", f"has {len(steps)} steps; 1 to {STEPS_MAX} are possible"),))
    errors: list[FieldError] = []
    read: list[Understood] = []
    earlier: set[str] = set()
    for index, step in enumerate(steps):
        where = f"{pointer}/steps/{index}"
        if step.id in earlier:
            errors.append(
                FieldError(f"{where}/id", f"`{step.id}` is the id of an earlier step", "give each step its own")
            )
        try:
            read.append(_read_step(actions, step, earlier, inputs, now, where))
        except Invalid as exc:
            errors += exc.errors
        earlier.add(step.id)
    if errors:
        raise Invalid(tuple(errors[:ERRORS_MAX]))
    return tuple(read)


def arguments(action: Action[Any], args: Mapping[str, Json]) -> Args:
    """The arguments as the action's own model. ValueError (pydantic's) if they do not fit."""
    return action.args_model.model_validate(dict(args), by_alias=True, by_name=False)


@lru_cache(maxsize=256)
def data_fields(model: type[Args]) -> frozenset[str]:
    """The arguments that are only content, as plans name them. A field without a mark is none: it decides something."""
    return frozenset(
        info.alias or name
        for name, info in model.model_fields.items()
        if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("x-aiw") == "data"
    )


@lru_cache(maxsize=256)
def fields(model: type[Args]) -> frozenset[str]:
    """All arguments, as plans name them."""
    return frozenset(info.alias or name for name, info in model.model_fields.items())


def _read_step(
    actions: Actions,
    step: api.PlanStep | Step,
    earlier: set[str],
    inputs: Mapping[str, Json],
    now: datetime,
    where: str,
) -> Understood:
    action = actions.get(step.action)
    if action is None:
        raise Invalid(
            (
                FieldError(
                    f"{where}/action", f"there is no action `{_brief(step.action)}`", _nearest(step.action, actions)
                ),
            )
        )
    where = f"{where}/args"
    bound = step.args
    refs = references.find(bound, where)
    if refs and any(ref.root != "steps" for ref in refs):
        bound = references.bind(bound, refs, inputs, now.isoformat(timespec="seconds").replace("+00:00", "Z"), where)
        refs = references.find(bound, where)  # again: what was filled in counts, too
    if refs and (errors := _misplaced(action, refs, earlier, where)):
        raise Invalid(tuple(errors))
    try:
        args = arguments(action, bound)
    except ValidationError as exc:
        raise Invalid(field_errors(action, exc, where)) from exc
    kept = step if isinstance(step, Step) and bound is step.args else None
    return Understood(kept or Step(id=step.id, action=step.action, args=bound), action, args, refs)


def _misplaced(action: Action[Any], refs: Iterable[Ref], earlier: set[str], where: str) -> list[FieldError]:
    """References to results where none may be: in what decides what is done, or to a step that has not run yet."""
    content = data_fields(action.args_model)
    known = fields(action.args_model)
    errors = []
    for ref in refs:
        if ref.field not in known:
            continue  # the model refuses it, and says so
        if ref.root == "steps" and ref.field not in content:
            detail = f"`{ref.field}` decides what is done and to whom: no result may fill it in"
            errors.append(FieldError(where + ref.pointer, detail, "write it out, or take it from `inputs`"))
        elif ref.step not in earlier:
            errors.append(
                FieldError(where + ref.pointer, f"`{ref.step}` is no earlier step", _nearest(ref.step, earlier))
            )
    return errors


def field_errors(action: Action[Any], fault: ValueError, where: str) -> tuple[FieldError, ...]:
    """A model's complaints as faults of fields; the values themselves are not quoted."""
    if not isinstance(fault, ValidationError):
        return (FieldError(where, "cannot be read"),)
    errors = []
    for error in fault.errors(include_url=False, include_input=False):
        path = "".join(f"/{escape(str(part))}" for part in error["loc"])
        detail, hint = worded(error)
        if error["type"] == "extra_forbidden":
            detail = f"`{action.name}` has no such argument"
            hint = _nearest(str(error["loc"][-1]), fields(action.args_model))
        elif error["type"] == "missing":
            detail, hint = f"`{action.name}` needs it", ""
        errors.append(FieldError(where + path, detail, hint))
    return tuple(errors)


def _nearest(name: str, names: Iterable[str]) -> str:
    known = sorted(names)
    near = difflib.get_close_matches(name[:64], known, n=1, cutoff=0.5)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"there are: {', '.join(known)}" if known else ""


def _brief(name: str) -> str:
    return name if len(name) <= 64 else name[:64] + "…"  # noqa: PLR2004 - as the API bounds it
