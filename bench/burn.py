"""A step that burns one millisecond of CPU, without an action made for it: a reference that takes that long to resolve.

The plan's second `value` step filters the first one's list again and again in JMESPath, which `execute` does in its own
process, in Python. How many times is found out at the start, by the same library on this machine. The plan that it is
compared with is the same one with a reference that costs next to nothing, so that all the difference is the burning.
What the cores can burn is measured, not computed: two that share their units do not burn twice as fast as one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

import jmespath

NUMBERS: Final = list(range(1, 41))
FILTER: Final = "|[?@>`0`]"
# An expression may have 300 characters.
MOST_FILTERS: Final = 32
SECONDS: Final = 0.001
TRIES: Final = 200


def cost(filters: int, numbers: list[int]) -> float:
    """CPU seconds that resolving takes: the best of some, since others may share this machine."""
    expression = jmespath.compile("@" + FILTER * filters)
    best = 1.0
    for _ in range(TRIES):
        began = time.process_time_ns()
        expression.search(numbers)
        best = min(best, (time.process_time_ns() - began) / 1e9)
    return best


def calibrated(seconds: float = SECONDS) -> tuple[list[int], int, float]:
    """(numbers, filters, what they cost) nearest to `seconds`: as many filters as may be, then as few numbers."""
    whole = cost(MOST_FILTERS, NUMBERS)
    numbers = list(range(1, max(2, round(len(NUMBERS) * seconds / whole)) + 1))
    return numbers, MOST_FILTERS, cost(MOST_FILTERS, numbers)


def capacity(numbers: list[int], filters: int, seconds: float) -> float:
    """How often a second the machine resolves it when all cores do nothing else."""
    cores = os.cpu_count() or 1
    # Spawned: a fork would bring the connections along.
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        list(pool.map(_burn, [(numbers, filters, 0.05)] * cores))
        return sum(pool.map(_burn, [(numbers, filters, seconds)] * cores))


def _burn(what: tuple[list[int], int, float]) -> float:
    numbers, filters, seconds = what
    expression = jmespath.compile("@" + FILTER * filters)
    began, done = time.monotonic(), 0
    while time.monotonic() < began + seconds:
        expression.search(numbers)
        done += 1
    return done / (time.monotonic() - began)


def plan(numbers: list[int], filters: int) -> Mapping[str, object]:
    """Two `value` steps; the second costs what its reference costs."""
    reference = "steps.list" + FILTER * filters + "|length(@)"
    return {
        "steps": [
            {"id": "list", "action": "value", "args": {"value": numbers}},
            {"id": "burn", "action": "value", "args": {"value": {"$ref": reference}}},
        ]
    }
