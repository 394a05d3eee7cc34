"""The fast side of the remembered answers. Anybody may have written what is in Redis: only what we signed counts.

An entry is its signature (HMAC-SHA256) and a JSON document. What is signed includes the workspace, the key, the prompt
version and when it ends, so an entry that was forged, altered, moved to another key or workspace, or kept for later is
a miss, and counted. What comes out is validated as any answer is, and policy decides anew (I10).
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

import orjson
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from common.ports import Learned
from common.telemetry import code_of, metrics, note

KEY_FILE: Final = "signing.key"
PREFIX: Final = "aiw:answer"
LABEL: Final = b"aiw answers 1"  # what of the installation's secret this key is for
SECONDS: Final = 3600  # that an entry lives: what was dropped while Redis was away is gone then
SLACK: Final = 60  # seconds that clocks may differ: only what somebody kept for later is older
LARGEST: Final = 64_000  # bytes of an entry; what is longer is read from the database

_MAC: Final = hashlib.sha256().digest_size
_TIMEOUT: Final = 0.1  # seconds; intake waits for it
_PAUSE: Final = 1.0  # seconds without a try after a failed one


class RedisAnswers:
    """`ports.Front`. Connects at the first use, so after a fork; any thread may use it."""

    def __init__(
        self,
        redis_url: str,
        secrets_dir: Path,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`secrets_dir`: holds `signing.key`; without it nothing is put and nothing believed. `now`: Unix seconds."""
        self._url = redis_url
        self._path = secrets_dir / KEY_FILE
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._client: redis.Redis | None = None
        self._secret: bytes | None = None
        self._try_at = 0.0
        self._down = False

    def recall(self, workspace: UUID, keys: Sequence[str], prompt_version: str) -> dict[str, Learned]:
        """See ports.Front. One MGET; while Redis is away one call a second tries, the others return."""
        secret = self._signing_key() if keys else None
        if secret is None or not self._may_try():
            return {}
        try:
            entries = self._connected().mget([_name(workspace, key) for key in keys])
        except (redis.RedisError, OSError, ValueError) as exc:
            self._failed(exc)
            return {}
        self._down = False
        found: dict[str, Learned] = {}
        forged = 0
        for key, entry in zip(keys, entries, strict=False):
            if isinstance(entry, bytes):
                learned = self._opened(secret, workspace, key, prompt_version, entry)
                if learned is None:
                    forged += 1
                else:
                    found[key] = learned
        if forged:
            metrics().cache_forged(forged)
            note("cache_forged", logging.WARNING, entries=forged)
        return found

    def put(self, workspace: UUID, learned: Sequence[Learned]) -> None:
        """See ports.Front."""
        secret = self._signing_key() if learned else None
        if secret is None or not self._may_try():
            return
        try:
            pipe = self._connected().pipeline(transaction=False)
            for one in learned:
                entry = self._sealed(secret, workspace, one)
                if entry is not None:
                    pipe.set(_name(workspace, one.key), entry, ex=SECONDS)
            pipe.execute()
        except (redis.RedisError, OSError, ValueError) as exc:
            self._failed(exc)
        else:
            self._down = False

    def drop(self, workspace: UUID, keys: Sequence[str]) -> bool:
        """See ports.Front."""
        if not keys:
            return True
        try:
            self._connected().delete(*(_name(workspace, key) for key in keys))
        except (redis.RedisError, OSError, ValueError) as exc:
            self._failed(exc)
            return False
        self._down = False
        return True

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _sealed(self, secret: bytes, workspace: UUID, learned: Learned) -> bytes | None:
        document = {
            "until": int(self._now()) + SECONDS + SLACK,
            "model": learned.model,
            "cost": learned.cost,
            "answer": dict(learned.answer),
        }
        try:
            payload = orjson.dumps(document)
        except TypeError:  # a lone surrogate, or an integer of more than 64 bits
            return None
        signed = _signature(secret, workspace, learned.key, learned.prompt_version, payload) + payload
        return signed if len(signed) <= LARGEST else None

    def _opened(self, secret: bytes, workspace: UUID, key: str, version: str, entry: bytes) -> Learned | None:
        """What we put there; None: it is not ours, not for here, or not for now."""
        if not _MAC < len(entry) <= LARGEST:
            return None
        payload = entry[_MAC:]
        if not hmac.compare_digest(entry[:_MAC], _signature(secret, workspace, key, version, payload)):
            return None
        try:
            document = orjson.loads(payload)
            if document["until"] <= self._now():
                return None
            answer: Mapping[str, object] = document["answer"]
            model, cost = str(document["model"]), int(document["cost"])
        except (ValueError, KeyError, TypeError):
            return None
        if not isinstance(answer, dict):
            return None
        return Learned(key=key, request="", prompt_version=version, model=model, answer=answer, cost=cost)

    def _signing_key(self) -> bytes | None:
        """Made from the installation's secret; None: there is none. Read at the first use."""
        if self._secret is None:
            try:
                secret = self._path.read_bytes().strip()
            except OSError as exc:
                secret = b""
                self._failed(exc)
            if secret:
                self._secret = hmac.digest(secret, LABEL, "sha256")
        return self._secret

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
            note("cache_unreachable", logging.WARNING, error=code_of(exc))

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


class NoFront:
    """Without Redis: every answer is read from the database."""

    def recall(self, workspace: UUID, keys: Sequence[str], prompt_version: str) -> dict[str, Learned]:  # noqa: ARG002 - the port's
        """Nothing is there."""
        return {}

    def put(self, workspace: UUID, learned: Sequence[Learned]) -> None:
        """Nowhere to put it."""

    def drop(self, workspace: UUID, keys: Sequence[str]) -> bool:  # noqa: ARG002 - the port's
        """Nothing was there."""
        return True

    def close(self) -> None:
        """Nothing to close."""


def _name(workspace: UUID, key: str) -> str:
    return f"{PREFIX}:{workspace.hex}:{key}"


def _signature(secret: bytes, workspace: UUID, key: str, version: str, payload: bytes) -> bytes:
    """Over all that an entry is bound to; no part can run over into the next."""
    return hmac.digest(secret, b"\0".join((workspace.hex.encode(), key.encode(), version.encode(), payload)), "sha256")
