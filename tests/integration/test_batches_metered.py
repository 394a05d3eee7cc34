"""Batches over real HTTP and the whole lifecycle: what comes back, what does not, and books that are the bill."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from common.analysis.batches.search import LOST_AFTER
from common.core.task import State
from tests.metered.batches import Fate
from tests.metered.faults import Fault
from tests.paid_desk import LOOK, Paid, paid_desk

TEXTS = [f"What is new at https://a.example/{n}, and is it worth a visit?" for n in range(3)]


@pytest.fixture
def paid() -> Iterator[Paid]:
    """One task a request, so that each has a fate of its own."""
    with paid_desk(pack_tasks=1) as made:
        yield made


def states(paid: Paid, tasks: list[object]) -> list[State]:
    """Of tasks, in order."""
    return [row.state for row in paid.desk.store.tasks.values() if row.id in tasks]


def test_a_batch_is_booked_as_it_is_billed(paid: Paid) -> None:
    """I7: half the price, to the nanodollar; one row in the ledger, which waits while the batch does."""
    paid.fake.batches.fate = Fate(seconds=600)
    tasks = paid.submit(*TEXTS, economy=True)
    paid.look()
    assert set(states(paid, [*tasks])) == {State.ANALYZING}
    assert [call.state for call in paid.calls] == ["reserved"]
    for _ in range(6):
        paid.look()
    assert set(states(paid, [*tasks])) == {State.QUEUED}
    assert all(row.batch for row in paid.fake.rows)
    assert paid.booked == paid.fake.nanodollars > 0
    paid.assert_books_hold()


def test_what_the_batch_did_not_answer_is_read_directly(paid: Paid) -> None:
    """I7: errored and expired requests cost nothing there; each is read once more, at the full price."""
    paid.fake.batches.fate = Fate(errored=(0,), expired=(1,))
    tasks = paid.submit(*TEXTS, economy=True)
    for _ in range(3):
        paid.look()
    assert set(states(paid, [*tasks])) == {State.QUEUED}
    assert sorted(row.batch for row in paid.fake.rows) == [False, False, True]
    assert paid.booked == paid.fake.nanodollars > 0
    paid.assert_books_hold()


def test_a_creation_whose_answer_was_lost_is_found_again(paid: Paid) -> None:
    """I7: the batch was made and nobody told; it is found on the list, collected and booked, and not made twice."""
    paid.fake.faults.add(Fault(kind="reset", on="batches"))
    tasks = paid.submit(*TEXTS, economy=True)
    for _ in range(4):
        paid.look()
    assert set(states(paid, [*tasks])) == {State.QUEUED}
    assert len(paid.fake.rows) == 3
    for _ in range(LOST_AFTER // LOOK):  # until then a copy of it may still turn up
        paid.look()
    assert paid.booked == paid.fake.nanodollars > 0
    paid.assert_books_hold()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="status", status=429, on="batches", retry_after=20),
        Fault(kind="status", status=529, on="batches"),
    ],
    ids=["429", "529"],
)
def test_a_refused_creation_costs_nothing_and_is_tried_again(paid: Paid, fault: Fault) -> None:
    """I7: given back, waited for by name, and sent once the provider takes it."""
    paid.fake.faults.add(fault)
    tasks = paid.submit(*TEXTS, economy=True)
    paid.look()
    assert (paid.booked, paid.fake.nanodollars) == (0, 0)
    for _ in range(4):
        paid.look()
    assert set(states(paid, [*tasks])) == {State.QUEUED}
    assert paid.booked == paid.fake.nanodollars > 0
    paid.assert_books_hold()


@pytest.mark.parametrize("fault", [Fault(kind="cut_off", on="results"), Fault(kind="status", status=500, on="results")])
def test_results_that_break_off_are_fetched_again(paid: Paid, fault: Fault) -> None:
    """I7: half of a file is no answer; nothing is decided or booked by it."""
    paid.fake.faults.add(fault)
    tasks = paid.submit(*TEXTS, economy=True)
    for _ in range(5):
        paid.look()
    assert set(states(paid, [*tasks])) == {State.QUEUED}
    assert paid.booked == paid.fake.nanodollars > 0
    paid.assert_books_hold()


def test_a_task_whose_deadline_comes_near_does_not_wait_for_its_batch(paid: Paid) -> None:
    """I7, I9: read directly in time; what the batch brings later is booked all the same."""
    paid.fake.batches.fate = Fate(seconds=20 * 3600)
    deadline = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    [task] = paid.submit(TEXTS[0], economy=True, deadline=deadline)
    paid.look()
    assert paid.row(task).state is State.ANALYZING
    paid.desk.elapse(timedelta(hours=1, minutes=50))
    paid.desk.wake("schedule")
    paid.look()
    assert paid.row(task).state is State.QUEUED
    for _ in range(3):
        paid.look()
    assert paid.booked == paid.fake.nanodollars > 0
    paid.assert_books_hold()
