"""Requests that wait: none misses an ending, one look serves all, an idle process looks never."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise
from math import inf
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from common import waits as module
from common.core.errors import Unavailable
from common.ports import Reads, TaskRecord
from common.waits import FEW, FIRST_LOOK, LONGEST_PAUSE, SHARE, Wait, Waits, look_at, next_look

HOME = uuid4()


class Looked:
    """Stands for the reads: what has settled is put into `over`, each look is remembered."""

    def __init__(self) -> None:
        """Nothing has settled yet."""
        self.over: set[UUID] = set()
        self.looks: list[frozenset[UUID]] = []
        self.read: list[UUID] = []
        self.faults: list[Exception] = []
        self.alone = False  # a look by itself, not a read after one for several

    def settled(self, ids: Sequence[UUID]) -> frozenset[UUID]:
        """See ports.Reads."""
        self.looks.append(frozenset(ids))
        if self.faults:
            raise self.faults.pop()
        return frozenset(ids) & self.over

    def settled_task(self, workspace: UUID, task: UUID) -> TaskRecord | None:
        """See ports.Reads; the id stands for the record."""
        assert workspace == HOME
        if self.alone:
            self.settled([task])
        if task not in self.over:
            return None
        self.read.append(task)
        return cast("TaskRecord", task)


def made(looked: Looked) -> Waits:
    """Waits over it."""
    return Waits(cast("Reads", looked))


def only_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nobody looks by the clock."""
    monkeypatch.setattr(module, "FIRST_LOOK", 3600.0)


# --- when ------------------------------------------------------------------------------------------------------------


def test_a_wait_is_looked_at_ever_more_seldom_and_at_least_once_a_second() -> None:
    """A quarter of its age passes between two looks, a second at most: 27 looks in the first second, 83 in a minute."""
    now, looks = FIRST_LOOK, []
    while now < 60:
        looks.append(now)
        now = next_look(0.0, now)
    for look, following in pairwise(looks):
        assert following - look <= min(LONGEST_PAUSE, max(FIRST_LOOK, look * SHARE)) + 1e-9
    assert sum(1 for look in looks if look < 1) < 30
    assert len(looks) < 90


def wait(at: float) -> Wait:
    """A wait to be looked at then."""
    return Wait(HOME, {uuid4()}, 0.0, at, cast("Any", None))


def test_looking_stays_a_bounded_share_however_many_wait() -> None:
    """By the clock it rests as long as if each wait had taken the look; told by a wake, as long as the look took."""
    assert look_at([], 10.0, 0.5, woken=False) == inf
    assert look_at([wait(12.0), wait(11.0)], 10.0, 0.1, woken=False) == 11.0
    assert look_at([wait(10.0)] * 100, 10.0, 0.1, woken=False) == 20.0
    assert look_at([wait(12.0)] * 100, 10.0, 0.1, woken=True) == 10.1


# --- what ------------------------------------------------------------------------------------------------------------


def test_what_settled_before_the_wait_began_ends_it() -> None:
    """An event that came just before the wait is not lost: no wake comes any more, and the answer is there at once."""
    looked, task = Looked(), uuid4()
    looked.over.add(task)
    began = time.monotonic()
    assert asyncio.run(made(looked).settled(HOME, [task], 30)) == task
    assert time.monotonic() - began < 1


def test_a_lost_wake_costs_a_quarter_of_the_wait() -> None:
    """The ending that nobody told of is seen by the clock."""
    looked, task = Looked(), uuid4()

    async def run() -> float:
        asyncio.get_running_loop().call_later(0.2, looked.over.add, task)
        began = time.monotonic()
        await made(looked).settled(HOME, [task], 30)
        return time.monotonic() - began

    assert 0.2 <= asyncio.run(run()) < 0.6


def test_a_wake_makes_one_look_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred requests wait: one wake, one statement, and who has settled is answered, the others wait on."""
    only_wakes(monkeypatch)
    looked, tasks = Looked(), [uuid4() for _ in range(100)]

    async def run() -> None:
        waits = made(looked)
        waiting = [asyncio.create_task(waits.settled(HOME, [task], 30)) for task in tasks]
        await asyncio.sleep(0.05)
        assert looked.looks == []
        looked.over.update(tasks[:2])
        waits.woken()
        assert await asyncio.gather(*waiting[:2]) == tasks[:2]
        assert looked.looks == [frozenset(tasks)]
        looked.over.update(tasks)
        waits.woken()
        assert await asyncio.gather(*waiting[2:]) == [None] * 98
        assert looked.looks[1:] == [frozenset(tasks[2:])]

    asyncio.run(run())
    assert sorted(looked.read) == sorted(tasks[:2])  # more than a few read themselves, beside each other
    assert FEW < 98


def test_a_request_for_several_waits_for_all_of_them() -> None:
    """An array's wait ends with its last task, and it reads them itself: the first may have moved on."""
    looked, tasks = Looked(), [uuid4(), uuid4()]
    looked.over.add(tasks[0])

    async def run() -> None:
        waits = made(looked)
        waiting = asyncio.create_task(waits.settled(HOME, tasks, 30))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        looked.over.add(tasks[1])
        waits.woken()
        assert await waiting is None

    asyncio.run(run())
    assert looked.looks[-1] == {tasks[1]}
    assert looked.read == []


def test_nobody_who_waits_is_nobody_looked_for() -> None:
    """Time over, or the client gone: nothing is left behind, and an idle process looks never."""
    looked = Looked()
    looked.alone = True

    async def run() -> None:
        waits = made(looked)
        assert await waits.settled(HOME, [uuid4()], 0.05) is None
        gone = asyncio.create_task(waits.settled(HOME, [uuid4()], 30))
        await asyncio.sleep(0.02)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        await asyncio.sleep(0.02)
        looks = len(looked.looks)
        waits.woken()
        await asyncio.sleep(0.1)
        assert len(looked.looks) == looks

    asyncio.run(run())


def test_a_stopping_process_answers_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM ends every wait at once, and none begins after it."""
    only_wakes(monkeypatch)

    async def run() -> None:
        waits = made(Looked())
        waiting = [asyncio.create_task(waits.settled(HOME, [uuid4()], 30)) for _ in range(10)]
        await asyncio.sleep(0.02)
        await asyncio.to_thread(waits.end)
        assert await asyncio.wait_for(asyncio.gather(*waiting), 1) == [None] * 10
        assert await asyncio.wait_for(waits.settled(HOME, [uuid4()], 30), 1) is None

    asyncio.run(run())


@pytest.mark.parametrize("fault", [Unavailable("PostgreSQL is away"), RuntimeError("unforeseen")])
def test_a_look_that_fails_ends_no_wait(fault: Exception) -> None:
    """PostgreSQL is away for a moment: whoever waits waits on, and is answered by a later look."""
    looked, task = Looked(), uuid4()
    looked.alone = True
    looked.over.add(task)
    looked.faults = [fault, fault]
    assert asyncio.run(made(looked).settled(HOME, [task], 30)) == task
    assert len(looked.looks) == 3
