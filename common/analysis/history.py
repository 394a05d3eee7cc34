"""What of an earlier plan a new one must know: what stays in front of it, and why it stopped. Pure."""

from __future__ import annotations

from common.core.task import Failure, OutcomeKind, Step, Task


def kept_steps(task: Task) -> tuple[Step, ...]:
    """Steps of the present plan that are done, or may be: a new plan keeps them in front, unchanged (I6).

    An analyzer answers with the new steps only; whoever stores the plan puts these before them.
    """
    if task.plan is None:
        return ()
    begun = {a.step_id for a in task.trail if a.outcome is OutcomeKind.DONE or a.unsettled}
    return tuple(step for step in task.plan.steps if step.id in begun)


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
