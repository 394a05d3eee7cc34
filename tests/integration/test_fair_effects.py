"""One workspace's slow effects and another's quick one, in one process over PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast
from uuid import UUID

import pytest

from common.actions.catalogue import Catalogue
from common.adapters.system_clock import SystemClock
from common.claim_loop import ClaimLoop
from common.core.after_step import Limits
from common.core.policy import Policy
from common.core.task import State, Step
from common.ports import HttpRequest, HttpResponse, Submission
from functions.execute.context import Means
from functions.execute.recorder import Recorder
from functions.execute.run import Runner
from tests.contract.ground import Ground, Member
from tests.simulator.one_thread import Silence

SLOW, QUICK = "https://slow.example/", "https://quick.example/"


class World:
    """Answers at once, but for the slow host: that one when it is told to."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.answers = threading.Event()
        self.asked: list[str] = []

    def send(self, request: HttpRequest, policy: Policy) -> HttpResponse:
        """See ports.Http."""
        del policy
        self.asked.append(request.url)
        if request.url == SLOW:
            assert self.answers.wait(30)
        return HttpResponse(status=200, headers={}, body=b"ok", url=request.url)


@pytest.fixture
def far() -> Iterator[World]:
    """The world; at the end it has answered."""
    world = World()
    yield world
    world.answers.set()


@pytest.fixture
def wake(postgres_ground: Ground, far: World) -> Iterator[Callable[[], None]]:
    """Wakes the one process that there is, which wakes itself where it wants help."""
    ground = postgres_ground
    means = Means(
        queue=ground.queue, workspace=ground.workspace, catalogue=Catalogue.shipped(), http=far, clock=SystemClock(),
        model=cast(Any, None), limits=Limits, worker="w",
    )  # fmt: skip
    recorder = Recorder(ground.queue, Silence(), 20.0, lambda: None)
    pool, wakes = ThreadPoolExecutor(means.effect_threads), ThreadPoolExecutor(1)

    def woken() -> None:
        wakes.submit(lambda: loop.run(10))

    runner = Runner(means, pool, recorder, woken)
    loop = ClaimLoop(runner.turn, means.clock, woken)
    yield woken
    far.answers.set()
    runner.stop(10)
    wakes.shutdown()
    pool.shutdown()


def gets(ground: Ground, by: Member, url: str, number: int) -> list[UUID]:
    """Tasks of one GET each, to a host that their text names."""
    plan = ground.plan(Step(id="one", action="http.request", args={"url": url}))
    wanted = tuple(ground.new(plan=plan, by=by, text=f"fetch {url}") for _ in range(number))
    ground.queue.add([Submission(token_sha256=by.token, tasks=wanted)])
    return [task.id for task in wanted]


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether it holds within that time."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def ended(ground: Ground, home: UUID, ids: list[UUID]) -> bool:
    """Whether all have succeeded."""
    return {task.state for task in ground.queue.get(home, ids)} == {State.SUCCEEDED}


def test_slow_effects_of_one_workspace_do_not_hold_up_another(
    postgres_ground: Ground, far: World, wake: Callable[[], None]
) -> None:
    """64 that stand still leave threads, and claims, to whoever comes; in the end all are done."""
    ground = postgres_ground
    slow = gets(ground, ground.asks, SLOW, 64)
    wake()
    assert until(lambda: far.asked.count(SLOW) == 24, 5)
    quick = gets(ground, ground.outsider, QUICK, 3)
    wake()
    assert until(lambda: ended(ground, ground.neighbour, quick), 2)
    assert far.asked.count(SLOW) == 24
    far.answers.set()
    assert until(lambda: ended(ground, ground.home, slow), 10)


def test_what_was_left_in_the_queue_is_looked_for_again(
    postgres_ground: Ground, far: World, wake: Callable[[], None]
) -> None:
    """Tasks that came while their workspace's threads were taken are claimed once these are free, without a wake."""
    ground = postgres_ground
    slow = gets(ground, ground.asks, SLOW, 64)
    wake()
    assert until(lambda: far.asked.count(SLOW) == 24, 5)
    slow += gets(ground, ground.asks, SLOW, 10)
    wake()
    assert not until(lambda: {t.state for t in ground.queue.get(ground.home, slow)} == {State.RUNNING}, 0.5)
    far.answers.set()
    assert until(lambda: ended(ground, ground.home, slow), 10)
