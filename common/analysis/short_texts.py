"""Pure work on texts, done once for those that come again: what is handed in is mostly what was handed in before."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Final, TypeVar

T = TypeVar("T")

SHORT: Final = 2000  # characters; longer ones would fill the memory and seldom come again
REMEMBERED: Final = 1024  # texts, so a few megabytes at most


def remembered(work: Callable[[str], T]) -> Callable[[str], T]:
    """The same function, which remembers the last short texts. What it returns must not be changed by anybody."""
    known = lru_cache(maxsize=REMEMBERED)(work)

    @wraps(work)
    def once(text: str) -> T:
        return known(text) if len(text) <= SHORT else work(text)

    return once
