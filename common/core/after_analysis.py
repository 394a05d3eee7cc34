"""What follows an analysis that brought no plan. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from common.core.after_step import REMIND_IN, Limits, backoff
from common.core.lifecycle import Detail, Transition, move
from common.core.task import Failure, State, Task

SOONEST: Final = timedelta(seconds=1)


def after_failure(
    task: Task, failure: Failure, actor: str, again_in: timedelta | None = None, waiting_for: str | None = None
) -> Transition:
    """To a person, with the reason; or (`again_in`) later, by name, unless the deadline comes first."""
    if again_in is not None and (task.deadline_in is None or again_in < task.deadline_in):
        pause = max(again_in, SOONEST)
        return move(
            task, "deferred", State.RECEIVED, pause, actor, detail=Detail(failure=failure), waiting_for=waiting_for
        )
    return move(task, "analysis_failed", State.MANUAL, REMIND_IN, actor, detail=Detail(failure=failure))


def after_lost_analysis(task: Task, limits: Limits, draw: float, actor: str) -> Transition:
    """The lease of an analysis ran out: nobody knows what became of it; nothing had an effect, so it is done again."""
    failure = Failure(code="lease_lost")
    if task.cancel_requested:
        return move(task, "cancelled", State.CANCELLED, None, actor, only_if_due=True)
    detail = Detail(failure=failure)
    if task.attempts + 1 >= limits.attempts:
        return move(task, "lease_lost", State.MANUAL, REMIND_IN, actor, detail=detail, only_if_due=True)
    pause = backoff(task.attempts, draw)
    return move(
        task, "lease_lost", State.RECEIVED, pause, actor, detail=detail, waiting_for="backoff", only_if_due=True
    )
