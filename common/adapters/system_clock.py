"""The Clock of a running process."""

from __future__ import annotations

import time


class SystemClock:
    """This process's own time: for durations and new ids; stored times are PostgreSQL's."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    def unix_ms(self) -> int:
        """Milliseconds since 1970, for ids only."""
        return time.time_ns() // 1_000_000
