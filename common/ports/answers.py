"""What requests were understood to mean before, so that what is asked again is not paid again.

Nothing here permits anything: policy decides anew at every use (I10), and what comes out is validated as any answer is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from common.core.task import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A request about to be asked. `key`: everything that the answer depends on, 64 hex digits."""

    key: str
    request: str  # normalised, for people to look at
    prompt_version: str
    model: str  # the models that may be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned(Asking):
    """What it was answered. `cost`: nanodollars, of this task alone: what each use saves."""

    answer: Mapping[str, Json]
    cost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered(Learned):
    """A stored answer, and how it has served."""

    created_at: datetime
    hit_at: datetime  # when it last served; of one that never did, when it was asked
    hits: int = 0
    checks: int = 0  # uses that were asked again, to measure how often it is wrong
    disagreements: int = 0


@dataclass(frozen=True, slots=True)
class Flight:
    """Nobody has the answer yet. `mine`: the caller is to ask; else somebody asks, since `age` and for `left` more."""

    mine: bool
    age: timedelta = timedelta(0)
    left: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How often an answer has served, and how the checks among these uses ended."""

    workspace: UUID
    key: str
    hits: int = 0
    checks: int = 0
    disagreements: int = 0


class Answers(Protocol):
    """Stored answers of all workspaces, and who is asking for which (single flight). A batch is one commit."""

    def find(self, workspace: UUID, keys: Sequence[str]) -> dict[str, Remembered]:
        """By key, what is remembered. Takes no flight."""

    def take(
        self, workspace: UUID, wanted: Sequence[Asking], by: str, lasts: timedelta
    ) -> dict[str, Remembered | Flight]:
        """By key, for each of `wanted`: the answer, or who asks for it. Each key once in `wanted`.

        Of all that take a key without an answer at once, exactly one gets a Flight that is its own; it ends with
        `store`, with `let_go`, or after `lasts`, when the next may take it.
        """

    def store(self, workspace: UUID, learned: Sequence[Learned]) -> None:
        """Keep answers, in place of what was there; the flights end. Each key once."""

    def let_go(self, workspace: UUID, keys: Sequence[str], by: str) -> None:
        """Flights of `by` that brought no answer end: the next may ask at once. Others' flights and answers stay."""

    def count(self, uses: Sequence[Use]) -> None:
        """Add them up in one statement. What is no longer there is left out."""

    def listed(
        self, workspace: UUID, limit: int, after: tuple[datetime, str] | None = None, beginning: str = ""
    ) -> list[Remembered]:
        """Answers whose key begins so, last used first; `after`: `hit_at` and key of the last of the page before."""

    def drop(self, workspace: UUID, keys: Sequence[str] | None) -> list[str]:
        """Forget answers and flights of these keys, None: all; the keys that were there. The next use is asked."""

    def forget(self, unused_for: timedelta, limit: int = 1000) -> int:
        """Maintenance: delete what did not serve for so long, at most `limit` of all workspaces; how many."""


class Front(Protocol):
    """A fast side in front of the stored answers. It is believed nothing and may lose everything at any time.

    No method raises: what cannot be had is not there. Time-limited.
    """

    def recall(self, workspace: UUID, keys: Sequence[str], prompt_version: str) -> dict[str, Learned]:
        """By key, what is there and was put there by us, for this workspace, key and version of the prompts."""

    def put(self, workspace: UUID, learned: Sequence[Learned]) -> None:
        """Hand in what was stored. It expires."""

    def drop(self, workspace: UUID, keys: Sequence[str]) -> bool:
        """Take out what may be there; False: it could not be reached, and an entry may live until it expires."""
