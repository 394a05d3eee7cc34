"""Wakes on a Redis stream. Redis is never believed: it carries wakes, and losing it costs at most a minute, no task."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from common.telemetry import code_of, note

STREAM: Final = "aiw:wakes"
KINDS: Final = "kinds"  # the entry's field: event kinds, a blank between

# The connector absorbs whatever waits, so what is older than this many entries tells nothing that the rest does not.
_MAX_ENTRIES: Final = 10_000
_TIMEOUT: Final = 0.5  # seconds; the caller is an intake or a claim loop and has better things to do
_PAUSE: Final = 1.0  # seconds without a try after a failed one


class RedisNotifier:
    """Publishes wakes by XADD. Connects at the first use, so after a fork; any thread may use it."""

    def __init__(self, redis_url: str, function: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`redis_url`: redis://… or unix://…; `function`: who publishes, for those who look at the stream."""
        self._url = redis_url
        self._function = function
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._client: redis.Redis | None = None
        self._try_at = 0.0  # 0: all is well
        self._down = False

    def publish(self, kinds: Sequence[str]) -> None:
        """One XADD with all the kinds. Never raises; while Redis is away one call a second tries, the others return."""
        if not kinds or not self._may_try():
            return
        try:
            self._connected().xadd(
                STREAM, {KINDS: " ".join(kinds), "by": self._function}, maxlen=_MAX_ENTRIES, approximate=True
            )
        except (redis.RedisError, OSError, ValueError) as exc:
            self._failed(exc)
        else:
            self._down = False

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _may_try(self) -> bool:
        if not self._down:
            return True
        with self._lock:
            now = self._monotonic()
            if now < self._try_at:
                return False
            self._try_at = now + _PAUSE  # this thread tries, the others do not wait for it
            return True

    def _failed(self, exc: Exception) -> None:
        with self._lock:
            self._try_at = self._monotonic() + _PAUSE
            was_down, self._down = self._down, True
        if not was_down:
            note("wakes_not_published", logging.WARNING, function=self._function, error=code_of(exc))

    def _connected(self) -> redis.Redis:
        with self._lock:
            if self._client is None:
                self._client = redis.Redis.from_url(
                    self._url,
                    socket_timeout=_TIMEOUT,
                    socket_connect_timeout=_TIMEOUT,
                    protocol=2,
                    # A connection that a restarted Redis has closed is opened anew, once; a silent one is not.
                    retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
                )
            return self._client


class NoNotifier:
    """Without Redis: nothing is published, each function looks by itself."""

    def publish(self, kinds: Sequence[str]) -> None:
        """Nobody listens."""

    def close(self) -> None:
        """Nothing to close."""
