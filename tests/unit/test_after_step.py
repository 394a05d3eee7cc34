"""What follows a step: one function, whoever died."""

# ruff: noqa: ANN401 - what a test changes may be any field of the task

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from common.core.after_step import (
    BACKOFF_LONGEST,
    Began,
    Done,
    Limits,
    NotDone,
    Outcome,
    Unknown,
    after_step,
    backoff,
    is_last,
)
from common.core.lifecycle import NextStep, Transition
from common.core.task import Effect, OutcomeKind, Risk, State
from tests.unit.core_examples import FIRST, SECOND, attempt, plan, task

LIMITS = Limits(attempts=5, replans=3, model=True)
BUSY = NotDone("busy", transient=True, status=503)
REFUSED = NotDone("refused", transient=False, status=404)
LOST = Unknown("lease_lost")


def follows(outcome: Outcome, **changed: Any) -> Transition | NextStep:
    """What follows the first of two steps."""
    effect = changed.pop("effect", Effect.NON_IDEMPOTENT)
    number = changed.pop("number", 1)
    lost = changed.pop("lost", False)
    limits = changed.pop("limits", LIMITS)
    return after_step(task(**changed), Began(FIRST, effect, number), outcome, limits, 0.5, "execute", lost=lost)


def moved(outcome: Outcome, **changed: Any) -> Transition:
    """The same, where it is a transition."""
    made = follows(outcome, **changed)
    assert isinstance(made, Transition)
    return made


def test_a_done_step_leads_to_the_next_under_the_same_lease() -> None:
    """Between two steps the task stays `running`, with no event."""
    made = follows(Done({"a": 1}))
    assert isinstance(made, NextStep)
    assert (made.lease_no, made.ended.outcome, made.ended.output) == (3, OutcomeKind.DONE, {"a": 1})


def test_the_last_done_step_ends_the_task() -> None:
    """Nothing is left, so it succeeded."""
    made = moved(Done(1), plan=plan(FIRST))
    assert (made.kind, made.target, made.check_in) == ("succeeded", State.SUCCEEDED, None)
    assert is_last(task(trail=(attempt("one", OutcomeKind.DONE),)), SECOND)


def test_a_result_too_large_is_done_and_goes_to_a_person() -> None:
    """I6: the effect happened; never "not done", and its output is not kept."""
    made = moved(Done("x", too_large=True))
    assert (made.kind, made.target) == ("gave_up", State.MANUAL)
    assert made.ended is not None
    assert (made.ended.outcome, made.ended.output) == (OutcomeKind.DONE, None)
    assert made.detail.failure is not None
    assert made.detail.failure.code == "result_too_large"


def test_a_transient_failure_is_tried_again_later_at_the_cost_of_an_attempt() -> None:
    """No paid call: backoff, then the same step."""
    made = moved(BUSY, attempts=2)
    assert (made.kind, made.target, made.costs_attempt) == ("retry_planned", State.QUEUED, True)
    assert (made.check_in, made.waiting_for) == (timedelta(seconds=2), "backoff")
    assert made.ended is not None
    assert made.ended.outcome is OutcomeKind.NOT_DONE


def test_attempts_are_spent_after_the_limit() -> None:
    """The fifth failed run is the last."""
    assert moved(BUSY, attempts=3).kind == "retry_planned"
    made = moved(BUSY, attempts=4)
    assert (made.kind, made.target, made.detail.note) == ("gave_up", State.MANUAL, "attempts_spent")


def test_a_backoff_that_would_outlast_the_deadline_is_not_begun() -> None:
    """A deadline is a person's; what cannot be in time is said at once."""
    made = moved(BUSY, attempts=3, deadline_in=timedelta(seconds=3))
    assert made.target is State.MANUAL
    assert made.detail.failure is not None
    assert made.detail.failure.code == "deadline_passed"
    assert moved(BUSY, attempts=3, deadline_in=timedelta(seconds=30)).target is State.QUEUED


def test_a_permanent_failure_is_thought_over_again_where_that_is_possible() -> None:
    """With text and a model to ask, the error goes back to it."""
    made = moved(REFUSED)
    assert (made.kind, made.target) == ("replanned", State.RECEIVED)
    assert made.detail.failure is not None
    assert (made.detail.failure.code, made.detail.failure.status) == ("refused", 404)


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"text": None}, None),
        ({"limits": Limits(model=False)}, None),
        ({"replans": 3}, "replans_spent"),
    ],
)
def test_a_permanent_failure_goes_to_a_person_else(changed: dict[str, Any], note: str | None) -> None:
    """No text, no model, or thought over often enough."""
    made = moved(REFUSED, **changed)
    assert (made.kind, made.target, made.detail.note) == ("gave_up", State.MANUAL, note)


def test_an_unknown_effect_that_may_not_be_repeated_goes_to_a_person() -> None:
    """I6: never blindly again, whatever attempts are left."""
    made = moved(Unknown("timeout"))
    assert (made.kind, made.target) == ("gave_up", State.MANUAL)
    assert made.ended is not None
    assert made.ended.outcome is OutcomeKind.UNKNOWN
    assert made.detail.failure is not None
    assert made.detail.failure.code == "effect_unknown"


def test_an_unknown_effect_that_may_be_repeated_is_tried_again() -> None:
    """I6: under the same key."""
    made = moved(Unknown("timeout"), effect=Effect.IDEMPOTENT)
    assert (made.kind, made.target) == ("retry_planned", State.QUEUED)
    assert made.ended is not None
    assert made.ended.outcome is OutcomeKind.UNKNOWN


@pytest.mark.parametrize(
    ("effect", "target"), [(Effect.IDEMPOTENT, State.QUEUED), (Effect.NON_IDEMPOTENT, State.MANUAL)]
)
def test_a_lost_attempt_is_unknown(effect: Effect, target: State) -> None:
    """I6: an effect without a recorded end is repeated under its key, or waits for a person; guarded by being due."""
    made = moved(LOST, effect=effect, lost=True)
    assert (made.kind, made.target, made.only_if_due, made.costs_attempt) == ("lease_lost", target, True, True)
    assert made.ended is not None
    assert made.ended.outcome is OutcomeKind.UNKNOWN


def test_a_lease_lost_before_any_attempt_did_nothing() -> None:
    """No attempt was begun, so none is closed; the run is tried again."""
    nothing = NotDone("lease_lost", transient=True)
    made = moved(nothing, effect=Effect.NONE, number=None, lost=True)
    assert (made.kind, made.target, made.ended, made.only_if_due) == ("lease_lost", State.QUEUED, None, True)


def test_lost_leases_are_spent_like_failures() -> None:
    """One limit for both."""
    made = moved(LOST, effect=Effect.IDEMPOTENT, lost=True, attempts=4)
    assert (made.kind, made.target, made.only_if_due) == ("lease_lost", State.MANUAL, True)


@pytest.mark.parametrize("outcome", [BUSY, REFUSED, Done(1)])
def test_a_cancel_is_carried_out_once_no_attempt_is_open(outcome: Outcome) -> None:
    """A request while running is kept, whatever else would have followed."""
    made = moved(outcome, cancel_requested=True)
    assert (made.kind, made.target) == ("cancelled", State.CANCELLED)
    assert made.ended is not None


def test_a_cancel_of_a_lost_run_is_guarded_by_its_being_due() -> None:
    """I3: maintenance cancels only what nobody holds when its statement runs."""
    made = moved(LOST, effect=Effect.IDEMPOTENT, lost=True, cancel_requested=True)
    assert (made.kind, made.only_if_due) == ("cancelled", True)


def test_a_cancel_does_not_hide_an_unknown_effect() -> None:
    """I6: `gave_up` first, with the request shown."""
    made = moved(Unknown("timeout"), cancel_requested=True)
    assert (made.kind, made.detail.note) == ("gave_up", "cancel_requested")


def test_a_cancel_after_the_last_step_comes_too_late() -> None:
    """What is done is done."""
    assert moved(Done(1), plan=plan(FIRST), cancel_requested=True).kind == "succeeded"


@pytest.mark.parametrize(
    ("failures", "draw", "seconds"),
    [(0, 0.0, 0), (0, 0.5, 0.5), (3, 0.5, 4), (8, 1.0, 256), (9, 1.0, 300), (99, 1.0, 300)],
)
def test_backoff_doubles_to_a_ceiling_with_full_jitter(failures: int, draw: float, seconds: float) -> None:
    """1 s to 5 min; the draw spreads those that failed together."""
    assert backoff(failures, draw) == timedelta(seconds=seconds)
    assert backoff(failures, draw) <= BACKOFF_LONGEST


def test_an_unforeseen_risk_of_the_plan_changes_nothing_here() -> None:
    """Whether it may run was the gate's to say; this function only knows what happened."""
    assert moved(BUSY, plan=plan(risk=Risk.CRITICAL)).kind == "retry_planned"


def test_a_spent_cost_cap_is_for_a_person_whatever_the_model_could_think_of() -> None:
    """Thinking again would only cost more: no new plan, though there is a text, a model and a replan left."""
    spent = moved(NotDone("cost_cap", transient=False))
    assert (spent.kind, spent.target) == ("gave_up", State.MANUAL)
    assert moved(REFUSED).kind == "replanned"
