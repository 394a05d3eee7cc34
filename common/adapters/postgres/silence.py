"""A server that hangs, as one process knows it: who may ask it again, and who is told at once that it does not answer.

A server that is down refuses in no time. One that hangs (stopped, a disk that stalls, a network that swallows packets)
costs whoever asks the whole limit: so the first one to meet the limit is enough, and then one caller a second tries.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from common.core.errors import StoreUnavailable

NO_ANSWER: Final = "PostgreSQL does not answer; the command that shows why: ./aiw doctor"
PAUSE: Final = 1.0  # seconds between two tries
TRY: Final = 2.0  # seconds that a try may take: a connection takes milliseconds, and somebody waits for this


class Silence:
    """Thread-safe. Asked only where a connection is made: while there are connections, nobody comes here."""

    def __init__(self, limit: float, now: Callable[[], float] = time.monotonic) -> None:
        """`limit`: seconds that making a connection may take while nothing is known against the server."""
        self._limit = limit
        self._now = now
        self._lock = threading.Lock()
        self._again_at: float | None = None  # None: it answers, as far as we know

    def patience(self) -> float:
        """Seconds that the caller may wait for a connection. StoreUnavailable: it is not its turn to try."""
        with self._lock:
            if self._again_at is None:
                return self._limit
            now = self._now()
            if now < self._again_at:
                raise StoreUnavailable(NO_ANSWER)
            self._again_at = now + TRY + PAUSE  # nobody else meanwhile
            return TRY

    def begins(self) -> None:
        """The limit was met."""
        with self._lock:
            self._again_at = self._now() + PAUSE

    def ends(self) -> None:
        """A connection was made."""
        with self._lock:
            self._again_at = None
