"""I1-I7, I9, I10, I12 over thousands of histories of the functions' own code: crashes, late batches, anything."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.simulator.histories import FAST, Failure, first_failure, run, shrunk
from tests.simulator.moves import Move, history
from tests.simulator.situations import EXPECTED, Met
from tests.simulator.world import World

HISTORIES = 500 if FAST else 10_000
CHUNK = 50  # seeds that one process plays at a time


def _begin() -> None:
    """What nobody foresaw happens all the time here, and each time it would be logged; and worlds are short-lived."""
    logging.disable(logging.ERROR)
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _played(seeds: range) -> tuple[Failure | None, Met]:
    """The first failure, as small as it gets; and which situations were met."""
    met = Met()
    failure = first_failure(seeds, partial(World, met=met))
    return None if failure is None else shrunk(failure), met


def test_every_invariant_holds_on_every_history(seed: int | None) -> None:
    """I1-I7, I9, I10, I12: after every commit and effect all hold; every situation is met."""
    if seed is not None:
        failure, _ = _played(range(seed, seed + 1))
        assert failure is None, str(failure)
        return
    chunks = [range(start, start + CHUNK) for start in range(0, HISTORIES, CHUNK)]
    met = Met()
    # `spawn`: a process that is forked from one with threads may hang, and nothing of a test may leak into a history
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn"), initializer=_begin) as pool:
        for failure, those in pool.map(_played, chunks):
            if failure is not None:
                pool.shutdown(wait=False, cancel_futures=True)
            assert failure is None, str(failure)
            met += those
    missing = EXPECTED - set(met)
    assert FAST or not missing, f"never happened: {sorted(missing)}"


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
