"""The machine that was measured on, and how fast it was meanwhile: figures of different runs compare only with that.

A fixed piece of work is done on all cores at once, before and after each round: Python that stays in a core's own
caches, SHA-256, and a walk through more memory than they hold. A machine that others share may take twice as long for
it in one hour as in another; neighbours take the shared cache more often than the cores, which only the walk notices.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Self

STEPS: Final = 60_000
BLOCKS: Final = 300
BLOCK: Final = 65_536  # bytes
PLACES: Final = 1 << 18  # 9 MB: the list and its numbers
STRIDES: Final = 20_000
TRIES: Final = 15
# What the work takes on the machine of docs/performance.md when nothing disturbs it: its speed is 1.
REFERENCE_SECONDS: Final = 0.031


def machine() -> dict[str, object]:
    """What it is, and how busy it was with other things."""
    return {
        "cores": os.cpu_count() or 1,
        # Who built it matters: one made without profiles (pyenv's default) takes a quarter more than Debian's.
        "Python": f"{platform.python_version()} ({Path(sys.executable).resolve()})",
        "kernel": platform.release(),
        "load": round(os.getloadavg()[0], 1),
    }


def scattered(places: int) -> list[int]:
    """A walk that comes by each place once and that no processor foresees: at each, which is the next."""
    order = list(range(places))
    random.Random(0).shuffle(order)  # noqa: S311 - the same walk each time is what is wanted
    following = [0] * places
    for at, after in itertools.pairwise([*order, order[0]]):
        following[at] = after
    return following


def work(walk: Sequence[int]) -> float:
    """Do it once; the seconds that it took."""
    began = time.perf_counter()
    counts: dict[int, int] = {}
    for step in range(STEPS):
        key = step * 7919 % 1009
        counts[key] = counts.get(key, 0) + len(str(step))
    block = bytes(BLOCK)
    for _ in range(BLOCKS):
        block = hashlib.sha256(block).digest() * (BLOCK // 32)
    at = 0
    for _ in range(STRIDES):
        at = walk[at]
    return time.perf_counter() - began


def speed_of(tries: Sequence[Sequence[float]]) -> float:
    """The speed by the seconds of each core's tries: their median, so that one interruption says nothing."""
    return REFERENCE_SECONDS / statistics.median(seconds for core in tries for seconds in core)


def _tries(number: int) -> list[float]:
    walk = scattered(PLACES)
    return [work(walk) for _ in range(number)]


class Speedometer:
    """Processes that wait to be asked how fast they are. Use as a context manager."""

    def __init__(self) -> None:
        """Nothing is started."""
        self._cores = os.cpu_count() or 1
        # Spawned: a fork would bring the connections along.
        self._pool = ProcessPoolExecutor(self._cores, mp_context=get_context("spawn"))

    def __enter__(self) -> Self:
        """Start them, and let them import."""
        self.look()
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        self._pool.shutdown()

    def look(self) -> float:
        """How fast the machine is now; 1 is the reference. Takes a second."""
        return speed_of(list(self._pool.map(_tries, [TRIES] * self._cores)))
