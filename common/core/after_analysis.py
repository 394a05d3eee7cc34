"""What follows an analysis that brought no plan. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from common.core.after_step import REMIND_IN, Limits, backoff
from common.core.lifecycle import Detail, Transition, move
from common.core.task import Failure, State, Task

SOONEST: Final = timedelta(seconds=1)
BATCH_LASTS: Final = timedelta(hours=25)  # a provider's own limit is 24 h; what has no answer by then gets none
DIRECT_TAKES: Final = timedelta(minutes=15)  # a call of its own, its waiting included: it has to begin by then
BATCH_TAKES: Final = timedelta(hours=1)  # mostly less; with less time than that it is not worth trying


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


def batch_room(task: Task) -> timedelta | None:
    """How long it may wait for a provider's batch and still be read directly in time; None: not worth trying."""
    if task.deadline_in is None:
        return BATCH_LASTS
    room = min(BATCH_LASTS, task.deadline_in - DIRECT_TAKES)
    return room if room >= BATCH_TAKES else None


def parked(task: Task, batch: UUID, actor: str) -> Transition:
    """It waits for this call's batch: no worker holds it, and it is looked at again when that would be too late."""
    room = batch_room(task) or SOONEST
    return move(task, "batched", State.ANALYZING, room, actor, waiting_for="provider", batch=batch)


def after_batch(task: Task, actor: str, failure: Failure | None = None, *, only_if_due: bool = False) -> Transition:
    """A parked task without an answer: read directly, at the full price; `failure`: what the batch made of it."""
    if task.cancel_requested:
        return move(task, "cancelled", State.CANCELLED, None, actor, only_if_due=only_if_due)
    detail = Detail(failure=failure or Failure(code="batch_too_late"))
    return move(
        task, "released", State.RECEIVED, timedelta(0), actor, detail=detail, economy=False, only_if_due=only_if_due
    )


def after_lost_analysis(task: Task, limits: Limits, draw: float, actor: str) -> Transition:
    """The lease of an analysis ran out: nobody knows what became of it; nothing had an effect, so it is done again.

    Of a task that is parked on a batch no lease ran out: its answer is late.
    """
    if task.batch is not None:
        return after_batch(task, actor, only_if_due=True)
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
