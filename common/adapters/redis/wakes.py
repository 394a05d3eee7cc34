"""The reading end of the wakes' stream: what the connector waits on."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from common.adapters.redis.notifier import KINDS, STREAM
from common.adapters.redis.wire import Incomplete, Reply, ReplyError, command, reply

_GROUP: Final = "connector"
_BLOCK_MS: Final = 15_000  # an idle connector asks four times a minute
_BATCH: Final = 1000  # whatever waits is absorbed: a thousand wakes are as good as one
_TIMEOUT: Final = _BLOCK_MS / 1000 + 5
_CONNECT_TIMEOUT: Final = 2.0
_CHUNK: Final = 65_536
_FIELD: Final = KINDS.encode()

# From now on, and the stream itself if it is not there.
_MAKE_GROUP: Final = command("XGROUP", "CREATE", STREAM, _GROUP, "$", "MKSTREAM")
# Without acknowledgement: a wake carries no work, and a connector that starts wakes everybody.
_READ: Final = command(
    "XREADGROUP",
    "GROUP",
    _GROUP,
    _GROUP,
    "COUNT",
    str(_BATCH),
    "BLOCK",
    str(_BLOCK_MS),
    "NOACK",
    "STREAMS",
    STREAM,
    ">",
)


class WakesUnavailable(Exception):
    """Redis does not answer. Nothing is lost but time: the database knows what is due."""


class _Line:
    """A connection that redis-py has opened, spoken on without it."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - untyped in redis-py
        """`connection`: redis-py's, connected."""
        self._reader: asyncio.StreamReader = connection._reader  # noqa: SLF001 - it has no public name
        self._writer: asyncio.StreamWriter = connection._writer  # noqa: SLF001 - as above
        self._unread = bytearray()

    async def ask(self, packed: bytes) -> Reply:
        """Send a command; its reply. ReplyError, OSError, ValueError."""
        self._writer.write(packed)
        async with asyncio.timeout(_TIMEOUT):
            while True:
                data = await self._reader.read(_CHUNK)
                if not data:
                    raise ConnectionResetError
                self._unread += data
                try:
                    answer, end = reply(self._unread)
                except Incomplete:
                    continue
                del self._unread[:end]
                if isinstance(answer, ReplyError):
                    raise answer
                return answer


class RedisWakes:
    """Reads wakes in one consumer group, so that of several connectors each wake reaches one."""

    def __init__(self, redis_url: str) -> None:
        """`redis_url`: redis://… or unix://…. Connects at the first read."""
        self._url = redis_url
        self._connection: Any = None  # untyped in redis-py
        self._line: _Line | None = None
        self._grouped = False

    async def read(self) -> frozenset[str] | None:
        """The kinds of all wakes that wait, at once or within 15 s (then perhaps none).

        None: wakes may have been missed (just connected, or Redis was wiped), so look everywhere.
        WakesUnavailable: try again after a while.
        """
        try:
            line = self._line or await self._connected()
            if not self._grouped:
                await self._make_group(line)
                return None
            return _kinds(await line.ask(_READ))
        except ReplyError:
            self._grouped = False  # NOGROUP, UNBLOCKED: the stream was wiped
            return None
        except (redis.RedisError, OSError, ValueError) as exc:
            await self.close()
            raise WakesUnavailable from exc

    async def close(self) -> None:
        """Give the connection back."""
        connection, self._connection, self._line, self._grouped = self._connection, None, None, False
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _connected(self) -> _Line:
        pool: Any = redis.asyncio.ConnectionPool.from_url(
            self._url,
            protocol=2,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_CONNECT_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        self._connection = pool.make_connection()
        await self._connection.connect()
        self._line = _Line(self._connection)
        return self._line

    async def _make_group(self, line: _Line) -> None:
        try:
            await line.ask(_MAKE_GROUP)
        except ReplyError as exc:
            if not str(exc).startswith("BUSYGROUP"):
                await self.close()
                raise WakesUnavailable from exc
        self._grouped = True


def _kinds(found: Reply) -> frozenset[str]:
    """The kinds in an answer of XREADGROUP; anybody may have written entries, so what does not fit is passed over."""
    kinds: set[str] = set()
    for stream in found if isinstance(found, list) else ():
        entries = stream[1] if isinstance(stream, list) else None
        for entry in entries if isinstance(entries, list) else ():
            fields = entry[1] if isinstance(entry, list) else None
            if isinstance(fields, list) and _FIELD in fields[::2]:
                text = fields[2 * fields[::2].index(_FIELD) + 1]
                kinds.update(text.decode("ascii", "replace").split() if isinstance(text, bytes) else ())
    return frozenset(kinds)
