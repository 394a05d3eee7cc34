"""I1-I7, I9, I10, I12 over thousands of histories of the functions' own code: crashes, late batches, anything."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Final

from common.core.lifecycle import edges
from common.core.task import Event, State
from tests.simulator.histories import Failure, first_failure, run, shrunk
from tests.simulator.moves import Move, history
from tests.simulator.world import World

FAST = bool(os.environ.get("AIW_FAST"))
HISTORIES = 500 if FAST else 10_000
CHUNK = 250  # seeds that one process plays at a time


Edge = tuple[str, State | None, State]

# Nothing in this release leads straight from `received`: what will is written down in the table for later.
LATER: Final = frozenset(edge for edge in edges() if edge[1] is State.RECEIVED) - {
    ("analysis_started", State.RECEIVED, State.ANALYZING),
    ("cancelled", State.RECEIVED, State.CANCELLED),
}


def _begin() -> None:
    """What nobody foresaw happens all the time here, and each time it would be logged; and worlds are short-lived."""
    logging.disable(logging.ERROR)
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)


def _played(seeds: range) -> tuple[Failure | None, frozenset[Edge]]:
    """The first failure, as small as it gets; and every transition that happened."""
    seen: set[Edge] = set()

    def world(seed: int) -> World:
        made = World(seed)
        made.store.stream = Noted(seen)
        return made

    failure = first_failure(seeds, world)
    return None if failure is None else shrunk(failure), frozenset(seen)


class Noted(list[Event]):
    """The stream of events, of which only the kinds are remembered beyond a history."""

    def __init__(self, seen: set[Edge]) -> None:
        """`seen`: where they are remembered."""
        super().__init__()
        self._seen = seen

    def append(self, event: Event) -> None:
        """See list."""
        self._seen.add((event.kind, event.from_state, event.to_state))
        super().append(event)


def test_every_invariant_holds_on_every_history(seed: int | None) -> None:
    """I1-I7, I9, I10, I12: after every commit and effect all hold; every row of the lifecycle table is reached."""
    if seed is not None:
        failure, _ = _played(range(seed, seed + 1))
        assert failure is None, str(failure)
        return
    chunks = [range(start, start + CHUNK) for start in range(0, HISTORIES, CHUNK)]
    reached: set[Edge] = set()
    # `spawn`: a process that is forked from one with threads may hang, and nothing of a test may leak into a history
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn"), initializer=_begin) as pool:
        for failure, seen in pool.map(_played, chunks):
            if failure is not None:
                pool.shutdown(wait=False, cancel_futures=True)
            assert failure is None, str(failure)
            reached |= seen
    missing = edges() - LATER - reached
    assert FAST or not missing, f"never happened: {sorted(map(str, missing))}"


def _given(world: World, _seed: int) -> World:
    return world


def test_a_history_is_the_same_each_time() -> None:
    """A failing seed can be played again: the same moves, the same events, the same effects."""
    for seed in range(20):
        once, again = World(seed), World(seed)
        for world in (once, again):
            assert run(seed, history(seed), partial(_given, world)) is None
        assert once.store.stream == again.store.stream
        assert (once.far.effects, once.time.seconds) == (again.far.effects, again.time.seconds)


def test_a_failing_history_is_shrunk_to_what_it_needs() -> None:
    """A finding is small enough to read: what does not matter is dropped."""
    moves = (Move("submit", pick=1), Move("advance", seconds=3), Move("approve"), Move("pause"), Move("no such move"))
    why = run(7, moves)
    assert why is not None
    small = shrunk(Failure(7, moves, why))
    assert small.moves == (Move("no such move"),)
    assert "--seed 7" in str(small)
