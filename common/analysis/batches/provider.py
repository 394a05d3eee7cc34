"""A provider's batches as they are asked for here, whoever the provider is. Values and a protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Final, Protocol

from common.analysis.call import Call, Fault, Reply
from common.analysis.providers.registry import Provider
from common.ports import Member

# By the provider's name in `AIW_PROVIDER`; one that is not here has none, and economy tasks are read at once.
BATCHES: Final[dict[str, str]] = {"anthropic": "common.analysis.batches.claude:ClaudeBatches"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """One request of a batch. `check`: it asks again about tasks that another request of the same batch asks about."""

    call: Call
    members: tuple[Member, ...]  # its tasks
    check: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A batch as the provider shows it to whoever has a key of its account: it does not say whose it is."""

    provider_id: str
    created_at: datetime  # by the provider's clock
    requests: int
    ended: bool
    stopping: bool = False  # a cancel was asked for


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one request. A Fault that is billed `maybe` has no cost that anybody knows."""

    custom_id: str
    said: Reply | Fault


class BatchProvider(Protocol):
    """Asks within hours, at half the price. Never raises what a Fault can say; retries nothing by itself."""

    @property
    def key(self) -> str | None:
        """The fingerprint of the API key that there is now; None: none, and nobody can be asked."""

    def create(self, asked: Sequence[tuple[str, Call]]) -> str | Fault:
        """Send a batch of (custom id, call): its id, or why there is none (or, billed `maybe`, may be one)."""

    def look(self, provider_id: str) -> Listed | Fault:
        """How it is getting on."""

    def recent(self, since: datetime) -> list[Listed] | Fault:
        """All batches of the account that were created since then, newest first; a Fault if that is not all."""

    def results(self, provider_id: str) -> list[Result] | Fault:
        """What became of each request of a batch that has ended, in no particular order."""

    def cancel(self, provider_id: str) -> Fault | None:
        """Begin no further request of it. What was answered by then is billed, and among its results."""


def fingerprint(key: str) -> str:
    """By which a key is known again and cannot be had back (I11)."""
    return hashlib.sha256(f"aiw batches {key}".encode()).hexdigest()[:32]


def batches_of(name: str, provider: Provider) -> BatchProvider | None:
    """The batches of a provider; None: it has none."""
    if not provider.has_batches or name not in BATCHES:
        return None
    module, _, kind = BATCHES[name].partition(":")
    made: BatchProvider = getattr(import_module(module), kind)(provider)
    return made
