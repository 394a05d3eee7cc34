"""What of an earlier plan must stay in front of a new one. Pure."""

from __future__ import annotations

from common.core.task import OutcomeKind, Step, Task


def kept_steps(task: Task) -> tuple[Step, ...]:
    """Steps of the present plan that are done, or may be: a new plan keeps them in front, unchanged (I6).

    An analyzer answers with the new steps only; whoever stores the plan puts these before them.
    """
    if task.plan is None:
        return ()
    begun = {a.step_id for a in task.trail if a.outcome is OutcomeKind.DONE or a.unsettled}
    return tuple(step for step in task.plan.steps if step.id in begun)
