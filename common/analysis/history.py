"""What of an earlier plan a new one must know: what stays in front of it, and why it stopped. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from common.core.errors import Invalid
from common.core.task import Failure, OutcomeKind, Step, Task

if TYPE_CHECKING:  # pragma: no cover - the recipes are read without the catalogue
    from common.actions.catalogue import Catalogue

SOME_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)  # where nobody read a row: no floor depends on the hour


def kept_steps(task: Task) -> tuple[Step, ...]:
    """Steps of the present plan that are done, or may be: a new plan keeps them in front, unchanged (I6).

    An analyzer answers with the new steps only; whoever stores the plan puts these before them.
    """
    if task.plan is None:
        return ()
    begun = {a.step_id for a in task.trail if a.outcome is OutcomeKind.DONE or a.unsettled}
    return tuple(step for step in task.plan.steps if step.id in begun)


def has_failed(task: Task) -> bool:
    """Whether a plan of it failed before: the model that made it would mostly make it again."""
    return task.replans >= 1 or task.plan is not None


def why_failed(task: Task) -> Failure | None:
    """Why the present plan stopped; None: there is none, or it has not.

    The newest failure of its history may only say why it was not read again since (no budget, a provider that is down).
    """
    if task.plan is None:
        return None
    if task.failure is not None and task.failure.step is not None:
        return task.failure
    of_steps = [attempt.failure for attempt in task.trail if attempt.failure is not None]
    return of_steps[-1] if of_steps else task.failure


def bound_steps(task: Task, steps: Sequence[Step], catalogue: Catalogue) -> tuple[Step, ...]:
    """New steps as policy is to see them: inputs and `now` filled in, without which a target cannot be read.

    What cannot be filled in stays as it is, and is read with the distrust that it deserves (I5).
    """
    kept = kept_steps(task)
    try:
        return catalogue.read([*kept, *steps], task.request.inputs, task.read_at or SOME_TIME)[len(kept) :]
    except Invalid:
        return tuple(steps)
