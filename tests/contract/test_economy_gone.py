"""Economy, over every adapter: batches that were deleted over there, and processes that stood still (I7)."""

# ruff: noqa: ANN401 - any field of a request, any port

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from common.core.task import State
from tests.batch_side import BatchSide, refusal
from tests.contract.ground import Ground
from tests.economy_floor import LATE, MINUTE, TWELVE, Dying, Floor, Killed, dies, rescued, sent, texts


@pytest.fixture
def floor(ground: Ground) -> Floor:
    """Replicas over both kinds of adapters."""
    return Floor(ground, BatchSide(ground.now))


def test_a_batch_that_is_gone_is_assumed_billed_and_its_tasks_are_read_at_once(floor: Floor) -> None:
    """I7, I9: deleted over there: its answers cannot be had and may be billed; nobody waits a day for it."""
    tasks = sent(floor, 3)
    reserved = floor.money()[1]
    del floor.side.batches[floor.side.last.id]
    floor.later()
    assert floor.states(tasks) == [State.RECEIVED] * 3
    assert {(floor.failure(task), floor.now(task.id).economy) for task in tasks} == {("batch_gone", False)}
    assert floor.money() == (reserved, 0)
    assert floor.ground.batches.next_due() is None


def test_what_the_list_still_has_is_not_gone(floor: Floor) -> None:
    """I7: one look that says 404 proves nothing: it is looked for in the list, which has to be had whole."""
    tasks = sent(floor, 3)
    floor.side.refuse["GET look"] = refusal(404, "not_found_error")
    floor.later()
    floor.side.refuse["GET look"] = refusal(404, "not_found_error")
    floor.side.refuse["GET list"] = refusal(500)
    floor.later()
    assert floor.states(tasks) == [State.ANALYZING] * 3
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.money() == (TWELVE // 2, 0)


def test_what_was_just_made_is_not_gone(floor: Floor) -> None:
    """A provider may take some minutes to know everywhere what it has made."""
    tasks = sent(floor, 3)
    hidden = floor.side.batches.pop(floor.side.last.id)
    floor.later(2 * MINUTE)
    assert floor.states(tasks) == [State.ANALYZING] * 3
    floor.side.batches[hidden.id] = hidden
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3


def test_another_key_does_not_see_it_and_that_proves_nothing(floor: Floor) -> None:
    """I7: of another account, it gets a 404 for what is there."""
    tasks = sent(floor, 3)
    hidden = floor.side.batches.pop(floor.side.last.id)
    floor.elapse(LATE)
    floor.replica(key="sk-ant-another").run()
    assert floor.states(tasks) == [State.ANALYZING] * 3
    floor.side.batches[hidden.id] = hidden
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3


def test_killed_after_a_gone_batch_was_closed(floor: Floor) -> None:
    """I9: its tasks are due at once, and maintenance takes them off it."""
    tasks = sent(floor, 3)
    del floor.side.batches[floor.side.last.id]
    floor.elapse(6 * MINUTE)
    dies(floor, batches=Dying(floor.ground.batches, "give_up", after=True))
    rescued(floor)
    assert floor.states(tasks) == [State.RECEIVED] * 3


def test_a_look_alike_that_is_gone_may_have_been_ours(floor: Floor) -> None:
    """I7: time and count spoke for it, and nobody can ask it any more: nothing is given back."""
    floor.submit(*texts(3))
    floor.side.drop.add("POST create")
    floor.replica().run()
    reserved = floor.money()[1]
    floor.later()
    del floor.side.batches[floor.side.last.id]
    floor.later(LATE)
    assert floor.money() == (reserved, 0)


def test_who_stood_still_before_sending_sends_nothing(floor: Floor) -> None:
    """I7: opened, parked, and a quarter of an hour later found to be lost: nothing is sent any more."""
    tasks = floor.submit(*texts(3))
    begin = floor.ground.batches.begin

    class Slow(Dying):
        """Stands still before the last look."""

        def begin(self, batch: UUID) -> bool:
            floor.later(LATE)
            floor.later(2 * MINUTE)
            return begin(batch)

    floor.replica(batches=Slow(floor.ground.batches, "nothing")).run()
    assert floor.side.seen.count("POST create") == 1  # another replica's, for the same texts
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.money() == (TWELVE // 2, 0)


def test_who_stood_still_after_opening_gives_it_back_and_tries_anew(floor: Floor) -> None:
    """I1, I7: nobody else noticed; what is too old to be sent is closed, and its texts wait for the next."""
    tasks = floor.submit(*texts(3))
    begin = floor.ground.batches.begin

    class Slow(Dying):
        """Stands still before the last look."""

        def begin(self, batch: UUID) -> bool:
            floor.elapse(6 * MINUTE)
            return begin(batch)

    floor.replica(batches=Slow(floor.ground.batches, "nothing")).run()
    assert floor.side.seen == []
    assert floor.money() == (0, 0)
    assert {(floor.failure(task), floor.now(task.id).economy) for task in tasks} == {("batch_lost", True)}


def test_who_stood_still_while_looking_gives_nothing_back(floor: Floor) -> None:
    """I7: the list was asked for before it was there, and the decision is made after it was found by another."""
    tasks = floor.submit(*texts(3))
    hidden = []

    def kill(what: str) -> None:
        if what == "POST create":
            raise Killed

    floor.side.before = kill
    dies(floor)
    floor.side.before = lambda _: None
    give_up = floor.ground.batches.give_up

    class Slow(Dying):
        """Stands still between the list and what it concludes from it."""

        def give_up(self, batch: UUID, seen: str | None, *, billed: bool, after: timedelta) -> bool:
            hidden.append(batch)
            assert floor.ground.batches.name(batch, "msgbatch_found", certain=True)
            return give_up(batch, seen, billed=billed, after=after)

    floor.elapse(LATE)
    floor.replica(batches=Slow(floor.ground.batches, "nothing")).run()
    assert len(hidden) == 1
    assert floor.states(tasks) == [State.ANALYZING] * 3
    assert floor.money()[0] == 0
    assert floor.money()[1] > 0


def test_what_it_was_taken_for_until_it_was_answered_is_booked_if_it_is_ours(floor: Floor) -> None:
    """I7: made twice, one found by listing, the other named by a slow answer: both are booked."""
    floor.submit(*texts(3))

    create = floor.side._made

    def made_twice(requests: list[dict[str, Any]], at: Any) -> Any:
        first = create(requests, at)
        floor.side._made = create  # type: ignore[method-assign]  # once
        floor.later(4 * MINUTE)  # another replica finds the first on the list
        assert first.id in floor.ground.batches.known([first.id])
        return create(requests, floor.side.now())

    floor.side._made = made_twice  # type: ignore[method-assign]  # a far side with a gateway that sends again
    floor.replica().run()
    for batch in floor.side.batches.values():
        floor.side.end(batch)
    for _ in range(3):
        floor.later()
    assert floor.money() == (TWELVE, 0)
