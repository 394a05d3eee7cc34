"""Economy, over every adapter: batches that were made twice, and what stood beside them (I7)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import httpx2
import pytest

from common.core.task import State, Task
from tests.batch_side import BatchSide
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

        def name(self, batch: UUID, provider_id: str, *, certain: bool) -> bool:
            """After the look."""
            floor.replica().run()
            return name(batch, provider_id, certain=certain)

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
