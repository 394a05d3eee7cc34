"""Economy, over every adapter: batches that were made twice, and what stood beside them (I7)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import httpx2
import pytest

from common.core.task import State, Task
from tests.batch_side import BatchSide, refusal
from tests.contract.ground import Ground
from tests.economy_floor import LATE, MINUTE, TWELVE, Floor, texts

SOON = timedelta(seconds=90)  # the first is looked at again, and the second's answer is still waited for


@pytest.fixture
def floor(ground: Ground) -> Floor:
    """Replicas over both kinds of adapters."""
    return Floor(ground, BatchSide(ground.now))


def unanswered(floor: Floor, first: int) -> list[Task]:
    """Tasks of a batch that was made, and whose answer never came."""
    tasks = floor.submit(*texts(3, first))
    floor.side.drop.add("POST create")
    floor.replica().run()
    return tasks


def ended(floor: Floor) -> None:
    """All are through, and looked at until nothing is left to be found."""
    for batch in floor.side.batches.values():
        floor.side.end(batch)
    for _ in range(4):
        floor.later()


@pytest.mark.parametrize("looks", [SOON, 6 * MINUTE])
def test_the_next_ones_batch_is_not_taken_for_a_second_of_the_first(floor: Floor, looks: timedelta) -> None:
    """I7: neither of two had an answer; what looks like a second of the first is the other's, read and booked there."""
    tasks = unanswered(floor, 0)
    again = floor.side._made(floor.side.last.requests, floor.ground.now())
    floor.later()
    tasks += unanswered(floor, 10)
    floor.side.end(next(iter(floor.side.batches.values())))
    floor.later(looks)
    floor.later()
    ended(floor)
    assert (again.status, len(floor.side.batches)) == ("ended", 3)
    assert floor.states(tasks) == [State.QUEUED] * 6
    assert floor.money() == (TWELVE // 2 * 3, 0)


def test_what_is_certain_is_taken_from_who_only_supposed_it(floor: Floor) -> None:
    """I7: while it is being made, somebody takes it for a second one of another; its answer comes after that."""
    tasks = unanswered(floor, 0)
    floor.later()
    floor.side.end()
    floor.elapse(SOON)
    tasks += floor.submit(*texts(3, 10))
    batches, name = floor.ground.batches, floor.ground.batches.name

    class Late:
        """The answer arrives when another replica has looked."""

        def __getattr__(self, of: str) -> object:
            return getattr(batches, of)

        def due(self, _: int) -> list[object]:
            """Whoever sends looks at nothing here."""
            return []

        def name(self, batch: UUID, provider_id: str, *, certain: bool, answered: bool) -> bool:
            """After the look."""
            floor.replica().run()
            return name(batch, provider_id, certain=certain, answered=answered)

    floor.replica(batches=Late()).run()
    ended(floor)
    assert floor.states(tasks) == [State.QUEUED] * 6
    assert floor.money() == (TWELVE, 0)


def test_a_second_that_the_next_one_took_is_booked_with_the_first(floor: Floor) -> None:
    """I7: what was taken for the next one's, which never was made, is the first one's by its custom ids."""
    tasks = unanswered(floor, 0)
    requests = floor.side.last.requests
    floor.later()
    more = floor.submit(*texts(3, 10))
    floor.side.refuse["POST create"] = httpx2.ReadTimeout("slow")
    floor.replica().run()
    floor.side._made(requests, floor.ground.now())
    floor.later()
    floor.later(LATE)
    ended(floor)
    assert floor.states(tasks) == [State.QUEUED] * 3
    ended(floor)
    assert floor.states(more) == [State.QUEUED] * 3
    assert floor.side.count("POST create") == 3
    assert floor.money() == (TWELVE // 2 * 3, 0)


def test_two_of_a_request_that_name_nothing_are_both_paid_for(floor: Floor) -> None:
    """I7: made twice, and no line of either says whose it is: both are assumed billed in the end."""
    unanswered(floor, 0)
    reserved = floor.money()[1]
    floor.side._made(floor.side.last.requests, floor.ground.now())
    for batch in floor.side.batches.values():
        floor.side.end(batch).results = []
    for _ in range(3):
        floor.later()
    floor.elapse(timedelta(days=8))
    assert floor.ground.budget.expire() == 2
    assert floor.money() == (2 * reserved, 0)


def test_a_second_is_looked_for_when_the_first_is_gone(floor: Floor) -> None:
    """I7: the one that was found is deleted over there; the other one is booked with what it cost."""
    unanswered(floor, 0)
    reserved = floor.money()[1]
    floor.side._made(floor.side.last.requests, floor.ground.now())
    floor.later()
    [found] = floor.ground.batches.known([*floor.side.batches])
    del floor.side.batches[found]
    floor.side.end()
    floor.later(LATE)
    floor.later()
    assert floor.money() == (reserved + TWELVE // 2, 0)


def test_nothing_is_booked_before_the_list_can_be_had(floor: Floor) -> None:
    """I7: answers are used at once; the call is closed when it is known that nothing else came of its request."""
    tasks = unanswered(floor, 0)
    floor.side._made(floor.side.last.requests, floor.ground.now())
    floor.later()
    for batch in floor.side.batches.values():
        floor.side.end(batch)
    floor.side.refuse["GET list"] = refusal(500)
    floor.later(LATE)
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.money()[0] == 0
    floor.later()
    floor.later()
    assert floor.money() == (TWELVE, 0)


def test_a_second_is_looked_for_of_one_that_was_handed_its_first(floor: Floor) -> None:
    """I7: another's look told whose it is; its own request never had an answer, and may have been made twice."""
    stranger = floor.side.foreign(at=floor.ground.now() - timedelta(seconds=30))
    tasks = unanswered(floor, 0)
    requests = floor.side.last.requests
    floor.later(4 * MINUTE)  # the stranger's is taken for the first one's
    floor.elapse(MINUTE)
    floor.submit(*texts(3, 10))
    floor.side.refuse["POST create"] = httpx2.ReadTimeout("slow")
    floor.replica().run()
    floor.side.end(floor.side._made(requests, floor.ground.now()))
    floor.later(4 * MINUTE)  # what came late of the first is taken for the second one's, which never was made
    floor.later(SOON)
    assert floor.states(tasks) == [State.ANALYZING] * 3
    ended(floor)
    floor.later(LATE)
    ended(floor)
    ours = [batch for batch in floor.side.batches.values() if batch is not stranger]
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.money() == (TWELVE // 2 * len(ours), 0)
