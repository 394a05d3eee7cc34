"""The Clock of a running process."""

from __future__ import annotations

import os
import random
import time


class SystemClock:
    """This process's own time: for durations and new ids; stored times are PostgreSQL's."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    def unix_ms(self) -> int:
        """Milliseconds since 1970, for ids only."""
        return time.time_ns() // 1_000_000

    def draw(self) -> float:
        """Uniform in [0, 1): jitter, never a secret."""
        return random.random()  # noqa: S311 - jitter

    def entropy(self, size: int) -> bytes:
        """Random bytes, fit for secrets."""
        return os.urandom(size)
