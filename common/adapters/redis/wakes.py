"""The reading end of the wakes' stream: what the connector waits on."""

from __future__ import annotations

from typing import Final

import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from common.adapters.redis.notifier import KINDS, STREAM

_GROUP: Final = "connector"
_BLOCK_MS: Final = 15_000  # an idle connector asks four times a minute
_BATCH: Final = 1000  # whatever waits is absorbed: a thousand wakes are as good as one
_CONNECT_TIMEOUT: Final = 2.0


class WakesUnavailable(Exception):
    """Redis does not answer. Nothing is lost but time: the database knows what is due."""


class RedisWakes:
    """Reads wakes in one consumer group, so that of several connectors each wake reaches one."""

    def __init__(self, redis_url: str) -> None:
        """`redis_url`: redis://… or unix://…. Connects at the first read."""
        self._client = redis.asyncio.Redis.from_url(
            redis_url,
            protocol=2,
            socket_timeout=_BLOCK_MS / 1000 + 5,
            socket_connect_timeout=_CONNECT_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        self._grouped = False

    async def read(self) -> frozenset[str] | None:
        """The kinds of all wakes that wait, at once or within 15 s (then perhaps none).

        None: wakes may have been missed (just connected, or Redis was wiped), so look everywhere.
        WakesUnavailable: try again after a while.

        Without acknowledgement: a wake carries no work, and a connector that starts wakes everybody.
        """
        try:
            if not self._grouped:
                await self._make_group()
                return None
            found = await self._client.xreadgroup(
                _GROUP, _GROUP, {STREAM: ">"}, count=_BATCH, block=_BLOCK_MS, noack=True
            )
        except redis.ResponseError:
            self._grouped = False  # NOGROUP, UNBLOCKED: the stream was wiped
            return None
        except (redis.RedisError, OSError) as exc:
            self._grouped = False
            raise WakesUnavailable from exc
        return _kinds(found)

    async def close(self) -> None:
        """Give the connection back."""
        await self._client.aclose()

    async def _make_group(self) -> None:
        try:
            await self._client.xgroup_create(STREAM, _GROUP, id="$", mkstream=True)
        except redis.ResponseError as exc:
            if not str(exc).startswith("BUSYGROUP"):
                raise WakesUnavailable from exc
        self._grouped = True


def _kinds(found: object) -> frozenset[str]:
    """The kinds in an answer of XREADGROUP; anybody may have written entries, so what does not fit is passed over."""
    kinds: set[str] = set()
    for stream in found if isinstance(found, list) else ():
        for _, fields in stream[1]:
            text = (fields or {}).get(KINDS.encode(), b"")
            kinds.update(text.decode("ascii", "replace").split())
    return frozenset(kinds)
