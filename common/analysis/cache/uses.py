"""How often remembered answers serve, gathered in the process: a statement every few seconds instead of one a hit.

What was gathered is lost if the process dies: a count too low by some, and nothing else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from uuid import UUID

from common.core.errors import Unavailable
from common.ports import Answers, Use
from common.telemetry import code_of, note

EVERY: Final = 5.0  # seconds
AT_ONCE: Final = 2000  # keys in one statement; so many are written at once


class Uses:
    """Counts hits. Thread-safe; its thread starts with the first count, so after a fork."""

    def __init__(self, answers: Answers, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`answers`: where the counts are kept."""
        self._answers = answers
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._hits: dict[tuple[UUID, str], int] = {}
        self._write_at: float | None = None
        self._writer: ThreadPoolExecutor | None = None

    def add(self, workspace: UUID, keys: Iterable[str]) -> None:
        """These served, each as often as it stands here. Never waits for the database."""
        with self._lock:
            for key in keys:
                self._hits[workspace, key] = self._hits.get((workspace, key), 0) + 1
            now = self._monotonic()
            if self._write_at is None:
                self._write_at = now + EVERY
            if now < self._write_at and len(self._hits) < AT_ONCE:
                return
            self._write_at = now + EVERY
            if self._writer is None:
                self._writer = ThreadPoolExecutor(1, "cache-uses")
            self._writer.submit(self.write)

    def write(self) -> None:
        """Write what was gathered. What cannot be written now is dropped: these are counts, not money."""
        with self._lock:
            gathered, self._hits = self._hits, {}
        uses = [Use(workspace=home, key=key, hits=hits) for (home, key), hits in gathered.items()]
        try:
            for begin in range(0, len(uses), AT_ONCE):
                self._answers.count(uses[begin : begin + AT_ONCE])
        except Unavailable as exc:
            note("cache_uses_lost", logging.WARNING, keys=len(uses), error=code_of(exc))

    def close(self) -> None:
        """Write the rest."""
        with self._lock:
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.shutdown(wait=True)
        self.write()
