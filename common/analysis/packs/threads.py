"""Threads that begin when they are first needed: a process that forks has none before it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
S = TypeVar("S")


class Threads:
    """So many at most, under one name."""

    def __init__(self, name: str, most: int) -> None:
        """None yet."""
        self._name = name
        self._most = most
        self._lock = threading.Lock()
        self._pool: Executor | None = None

    def map(self, work: Callable[[S], T], of: Iterable[S]) -> Iterator[T]:
        """The results in order, each as soon as it is there. What one raises is raised at its place."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._most, self._name)
            pool = self._pool
        return pool.map(work, of)

    def close(self) -> None:
        """End them; later work begins new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)
