"""What follows an analysis that brought no plan yet: how long a batch may be waited for, and what comes after it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from common.core.after_analysis import (
    BATCH_LASTS,
    BATCH_TAKES,
    DIRECT_TAKES,
    after_batch,
    after_lost_analysis,
    batch_room,
    parked,
)
from common.core.after_step import Limits
from common.core.task import Failure, State, Task
from tests.unit.core_examples import task

BATCH = UUID(int=77)
SECOND = timedelta(seconds=1)


def waiting(**changes: object) -> Task:
    """A task that is parked on a batch."""
    return task(State.ANALYZING).model_copy(update={"batch": BATCH, "economy": True, "event_seq": 7, **changes})


@pytest.mark.parametrize(
    ("deadline_in", "room"),
    [
        (None, BATCH_LASTS),
        (timedelta(days=3), BATCH_LASTS),
        (timedelta(hours=6), timedelta(hours=6) - DIRECT_TAKES),
        (BATCH_TAKES + DIRECT_TAKES, BATCH_TAKES),
        (BATCH_TAKES + DIRECT_TAKES - SECOND, None),
        (timedelta(0), None),
        (-SECOND, None),
    ],
)
def test_a_batch_is_waited_for_as_long_as_a_direct_call_is_still_in_time(
    deadline_in: timedelta | None, room: timedelta | None
) -> None:
    """I9: a day and an hour at most, and not at all where it would mostly be in vain."""
    assert batch_room(waiting(deadline_in=deadline_in)) == room


def test_a_parked_task_is_guarded_by_the_event_that_was_seen() -> None:
    """I3: it has no lease, so nothing but its history tells whether it is still the same."""
    held = task(State.ANALYZING).model_copy(update={"event_seq": 6})
    change = parked(held, BATCH, "analyze")
    assert (change.kind, change.target, change.batch, change.waiting_for) == (
        "batched", State.ANALYZING, BATCH, "provider"
    )  # fmt: skip
    assert (change.event_seq, change.check_in) == (6, BATCH_LASTS)
    assert after_batch(waiting(), "analyze").event_seq == 7
    assert after_batch(held, "analyze").event_seq is None


def test_without_an_answer_it_is_read_directly() -> None:
    """At once, at the full price, and no attempt is counted: nobody failed at it."""
    change = after_batch(waiting(), "analyze", Failure(code="batch_expired"))
    assert (change.kind, change.target, change.economy, change.check_in) == (
        "released", State.RECEIVED, False, timedelta(0)
    )  # fmt: skip
    assert not change.costs_attempt
    assert change.batch is None
    assert change.detail.failure == Failure(code="batch_expired")
    assert not change.only_if_due


def test_a_cancel_that_was_asked_for_comes_first() -> None:
    """Asked for while a worker had it."""
    assert after_batch(waiting(cancel_requested=True), "analyze").kind == "cancelled"


def test_maintenance_takes_no_lease_for_lost_that_there_was_not() -> None:
    """Of a parked task that is due only its answer is late; of any other the lease is lost."""
    late = after_lost_analysis(waiting(attempts=4), Limits(attempts=5), 0.5, "schedule")
    assert (late.kind, late.only_if_due, late.detail.failure) == ("released", True, Failure(code="batch_too_late"))
    lost = after_lost_analysis(waiting(batch=None, attempts=4), Limits(attempts=5), 0.5, "schedule")
    assert (lost.kind, lost.target) == ("lease_lost", State.MANUAL)
