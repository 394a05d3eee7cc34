"""Wakes on a Redis stream. Redis is never believed: it carries wakes, and losing it costs at most a minute, no task."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from common.adapters.redis.wire import Incomplete, ReplyError, command, reply
from common.telemetry import code_of, note

STREAM: Final = "aiw:wakes"
KINDS: Final = "kinds"  # the entry's field: event kinds, a blank between

# The connector absorbs whatever waits, so what is older than this many entries tells nothing that the rest does not.
_MAX_ENTRIES: Final = 10_000
_TIMEOUT: Final = 0.5  # seconds; the caller is an intake or a claim loop and has better things to do
_PAUSE: Final = 1.0  # seconds without a try after a failed one
_CHUNK: Final = 4096
_FAULTS: Final = (redis.RedisError, ReplyError, OSError, ValueError)


class _Line:
    """One connection. A wake is sent on it without waiting for the reply: that is read before the next one is sent."""

    def __init__(self, connection: Any, monotonic: Callable[[], float]) -> None:  # noqa: ANN401 - untyped in redis-py
        """`connection`: redis-py's, not yet connected. RedisError, OSError."""
        connection.connect()
        self._connection = connection
        # Sending and reading by the library costs eight times as much (wire.py).
        self._socket: socket.socket = connection._sock  # noqa: SLF001 - it has no public name
        self._monotonic = monotonic
        self._unread = bytearray()
        self._owed = 0  # replies
        self._since = 0.0  # when the last of them came, or the first was owed

    def send(self, packed: bytes) -> None:
        """Send a command. OSError."""
        self._socket.settimeout(_TIMEOUT)
        self._socket.sendall(packed)
        if not self._owed:
            self._since = self._monotonic()
        self._owed += 1

    def heard(self) -> bool:
        """Read the replies that have come. False: the far side has closed. ReplyError, OSError, ValueError."""
        self._socket.settimeout(0)
        try:
            while data := self._socket.recv(_CHUNK):
                self._take(data)
        except (BlockingIOError, ssl.SSLWantReadError):
            if self._owed and self._monotonic() - self._since > _TIMEOUT:
                raise TimeoutError from None
            return True
        return False

    def confirm(self) -> None:
        """Wait for every reply that is owed. ReplyError, OSError, ValueError."""
        self._socket.settimeout(_TIMEOUT)
        while self._owed:
            data = self._socket.recv(_CHUNK)
            if not data:
                raise ConnectionResetError
            self._take(data)

    def close(self) -> None:
        """Close it; what it still owes is not asked for."""
        self._connection.disconnect()

    def _take(self, data: bytes) -> None:
        self._unread += data
        at = 0
        with contextlib.suppress(Incomplete):
            while at < len(self._unread):
                answer, at = reply(self._unread, at)
                if isinstance(answer, ReplyError):
                    raise answer
                self._owed -= 1
                self._since = self._monotonic()
        del self._unread[:at]


class RedisNotifier:
    """Publishes wakes by XADD. Connects at the first use, so after a fork; any thread may use it."""

    def __init__(self, redis_url: str, function: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`redis_url`: redis://… or unix://…; `function`: who publishes, for those who look at the stream."""
        self._url = redis_url
        self._function = function
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._line: _Line | None = None
        self._try_at = 0.0
        self._down = False

    def publish(self, kinds: Sequence[str]) -> None:
        """One XADD with all the kinds. Never raises; while Redis is away one call a second tries, the others return."""
        if not kinds:
            return
        entry = (KINDS, " ".join(kinds), "by", self._function)
        with self._lock:
            if self._down and self._monotonic() < self._try_at:
                return
            try:
                self._send(command("XADD", STREAM, "MAXLEN", "~", str(_MAX_ENTRIES), "*", *entry))
            except _FAULTS as exc:
                self._failed(exc)

    def close(self) -> None:
        """Give the connection back, once what was sent has arrived."""
        with self._lock:
            if self._line is not None:
                with contextlib.suppress(*_FAULTS):
                    self._line.confirm()
                self._drop()

    def _send(self, packed: bytes) -> None:
        if self._line is not None:
            # A connection that a restarted Redis has closed is opened anew, once; a silent one is not.
            with contextlib.suppress(ConnectionError):
                if self._line.heard():
                    self._line.send(packed)
                    return
            self._drop()
        self._line = _Line(self._connection(), self._monotonic)
        self._line.send(packed)
        self._line.confirm()  # the first on a connection: whether Redis takes what we send
        self._down = False

    def _failed(self, exc: BaseException) -> None:
        self._drop()
        self._try_at = self._monotonic() + _PAUSE
        was_down, self._down = self._down, True
        if not was_down:
            note("wakes_not_published", logging.WARNING, function=self._function, error=code_of(exc))

    def _drop(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _connection(self) -> Any:  # noqa: ANN401 - untyped in redis-py
        pool: Any = redis.ConnectionPool.from_url(
            self._url,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
        )
        return pool.make_connection()


class NoNotifier:
    """Without Redis: nothing is published, each function looks by itself."""

    def publish(self, kinds: Sequence[str]) -> None:
        """Nobody listens."""

    def close(self) -> None:
        """Nothing to close."""
