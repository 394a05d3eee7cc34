"""What follows a step: the one function, whoever died.

`execute` calls it with an outcome; rescue with `Unknown("lease_lost")` for an open attempt and with
`NotDone("lease_lost", transient=True)` for none. Nobody else decides what follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from common.core.lifecycle import Detail, Ended, NextStep, Transition, move
from common.core.task import EFFECT_UNKNOWN, Effect, Failure, Json, OutcomeKind, State, Step, Task

BACKOFF_FIRST: Final = timedelta(seconds=1)
BACKOFF_LONGEST: Final = timedelta(minutes=5)
REMIND_IN: Final = timedelta(hours=24)  # a person's reminder in `manual`
ASK_NOW: Final = timedelta(0)
FOR_A_PERSON: Final = frozenset({"cost_cap"})  # thinking again would only cost more: what it may cost is theirs to say


@dataclass(frozen=True, slots=True)
class Done:
    """The effect happened. `too_large`: its output passed the limit, is not kept, and a person has to look."""

    output: Json = None
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class NotDone:
    """The far side surely did nothing. `transient`: the same thing may work later.

    `again_in`: it waits for something by name (`waiting_for`: budget, provider), and so costs no attempt.
    """

    code: str
    transient: bool
    status: int | None = None
    detail: str | None = None
    again_in: timedelta | None = None
    waiting_for: str | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """It began and nobody knows whether it happened (I6)."""

    code: str
    status: int | None = None
    detail: str | None = None


Outcome = Done | NotDone | Unknown


@dataclass(frozen=True, slots=True)
class Limits:
    """How often is enough, and whether a failed plan may be thought over again."""

    attempts: int = 5
    replans: int = 3
    model: bool = False  # there is a model to ask


@dataclass(frozen=True, slots=True)
class Began:
    """Which attempt the outcome belongs to. `number` None: effect `none`, no begin record."""

    step: Step
    effect: Effect
    number: int | None = None


def backoff(failures: int, draw: float) -> timedelta:
    """Full jitter: `draw` in [0, 1) of min(1 s * 2^failures, 5 min).

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    ceiling: timedelta = min(BACKOFF_FIRST * 2 ** min(failures, 16), BACKOFF_LONGEST)
    return ceiling * draw


def after_step(
    task: Task, began: Began, outcome: Outcome, limits: Limits, draw: float, actor: str, *, lost: bool = False
) -> Transition | NextStep:
    """Decide what follows. Pure.

    Args:
        task: as claimed, in `running`.
        began: the attempt; of a task rescued before any attempt, its next step with `number` None.
        outcome: what is known of it.
        limits: how often is enough.
        draw: in [0, 1), the jitter.
        actor: who writes the event.
        lost: the lease ran out and maintenance speaks; the event's kind is then `lease_lost`, the guard that it is due.
    """
    ended = ended_by(began, outcome, keep=not lost or began.number is not None)
    if isinstance(outcome, Done):
        return _after_done(task, began, outcome, ended, actor)
    failure = _failure(began, outcome)
    if isinstance(outcome, Unknown) and began.effect is Effect.NON_IDEMPOTENT:
        note = "cancel_requested" if task.cancel_requested else None
        return _to_person(
            task, ended, Failure(**{**failure.model_dump(), "code": EFFECT_UNKNOWN}), actor, lost=lost, note=note
        )
    if task.cancel_requested:
        detail = Detail(failure=failure)
        return move(task, "cancelled", State.CANCELLED, None, actor, detail=detail, ended=ended, only_if_due=lost)
    if isinstance(outcome, NotDone) and outcome.again_in is not None:
        return _later(task, ended, failure, outcome, actor)
    if isinstance(outcome, NotDone) and not outcome.transient:
        return _after_permanent(task, ended, failure, limits, actor)
    if task.attempts + 1 >= limits.attempts:
        return _to_person(task, ended, failure, actor, lost=lost, note="attempts_spent")
    pause = backoff(task.attempts, draw)
    if task.deadline_in is not None and pause >= task.deadline_in:
        return _to_person(
            task, ended, Failure(code="deadline_passed", step=began.step.id), actor, lost=lost, note=failure.code
        )
    kind = "lease_lost" if lost else "retry_planned"
    detail = Detail(failure=failure)
    return move(
        task, kind, State.QUEUED, pause, actor, detail=detail, waiting_for="backoff", ended=ended, only_if_due=lost
    )


def ended_by(began: Began, outcome: Outcome, *, keep: bool = True) -> Ended | None:
    """The attempt's end as it is recorded; None where there was no attempt (`keep` False)."""
    if not keep:
        return None
    if isinstance(outcome, Done):
        failure = Failure(code="result_too_large", step=began.step.id) if outcome.too_large else None
        output = None if outcome.too_large else outcome.output
        return Ended(
            step_id=began.step.id, number=began.number, outcome=OutcomeKind.DONE, output=output, failure=failure
        )
    kind = OutcomeKind.UNKNOWN if isinstance(outcome, Unknown) else OutcomeKind.NOT_DONE
    return Ended(step_id=began.step.id, number=began.number, outcome=kind, failure=_failure(began, outcome))


def _failure(began: Began, outcome: Outcome) -> Failure:
    if isinstance(outcome, Done):
        return Failure(code="result_too_large", step=began.step.id)
    return Failure(code=outcome.code, step=began.step.id, status=outcome.status, detail=outcome.detail)


def _after_done(task: Task, began: Began, outcome: Done, ended: Ended | None, actor: str) -> Transition | NextStep:
    if outcome.too_large:
        return move(
            task,
            "gave_up",
            State.MANUAL,
            REMIND_IN,
            actor,
            detail=Detail(failure=_failure(began, outcome)),
            ended=ended,
        )
    if is_last(task, began.step):
        return move(task, "succeeded", State.SUCCEEDED, None, actor, ended=ended)
    if task.cancel_requested:
        return move(task, "cancelled", State.CANCELLED, None, actor, ended=ended)
    if ended is None:
        raise AssertionError("a done step has an attempt")
    return NextStep(task_id=task.id, lease_no=task.lease_no, ended=ended)


def is_last(task: Task, step: Step) -> bool:
    """Whether nothing of the plan is left once `step` is done."""
    done = task.done
    return task.plan is None or not [s for s in task.plan.steps if s.id not in done and s.id != step.id]


def _later(task: Task, ended: Ended | None, failure: Failure, outcome: NotDone, actor: str) -> Transition:
    pause = outcome.again_in or ASK_NOW
    if task.deadline_in is not None and pause >= task.deadline_in:
        passed = Failure(code="deadline_passed", step=failure.step)
        return _to_person(task, ended, passed, actor, lost=False, note=failure.code)
    detail, waits = Detail(failure=failure), outcome.waiting_for
    return move(task, "snoozed", State.QUEUED, pause, actor, detail=detail, waiting_for=waits, ended=ended)


def _after_permanent(task: Task, ended: Ended | None, failure: Failure, limits: Limits, actor: str) -> Transition:
    if task.request.text is None or not limits.model or failure.code in FOR_A_PERSON:
        return _to_person(task, ended, failure, actor, lost=False, note=None)
    if task.replans >= limits.replans:
        return _to_person(task, ended, failure, actor, lost=False, note="replans_spent")
    return move(task, "replanned", State.RECEIVED, ASK_NOW, actor, detail=Detail(failure=failure), ended=ended)


def _to_person(
    task: Task,
    ended: Ended | None,
    failure: Failure,
    actor: str,
    *,
    lost: bool,
    note: str | None,
) -> Transition:
    kind = "lease_lost" if lost else "gave_up"
    detail = Detail(failure=failure, note=note)
    return move(task, kind, State.MANUAL, REMIND_IN, actor, detail=detail, ended=ended, only_if_due=lost)
