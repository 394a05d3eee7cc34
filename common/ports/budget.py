"""Money: reserved before a call, settled after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, Protocol
from uuid import UUID

from common.core.spending import Standing
from common.core.task import Lang
from common.core.unanswered import Tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of a call by kind; `input` excludes what was read from or written to the prompt cache."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a call cost less than the naive one, by lever; nanodollars, and negative where a lever cost more."""

    model: int = 0  # a smaller model than the strong one
    prompt: int = 0  # the provider's prompt cache
    pack: int = 0  # several tasks in one call
    batch: int = 0  # the provider's batches, at half the price

    @property
    def total(self) -> int:
        """Of all levers: the naive price less the real one."""
        return self.model + self.prompt + self.pack + self.batch


class CallReason(StrEnum):
    """Why a call is made, and of this model."""

    FIRST = "first"  # nobody read its tasks before
    REPAIR = "repair"  # an answer that could not be used is asked for once more, alone
    CONFIDENCE = "confidence"  # a stronger model reads again what the small one was unsure of
    STAKES = "stakes"  # or what is grave
    FAILED_BEFORE = "failed_before"  # or reads first, since a plan of the small one failed
    CHECK = "check"  # asked again as a sample
    CACHE_CHECK = "cache_check"  # a remembered answer is asked again as a sample
    ORPHAN = "orphan"  # a batch that was sent twice


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """A paid call about to be made. Money is integer nanodollars."""

    workspace: UUID
    purpose: str  # "analysis", "preview", "generate"
    model: str
    prompt_version: str
    reserve: int
    task_ids: tuple[UUID, ...] = ()
    tasks: int = 1  # how many tasks it reads; a preview reads one that has no row
    reason: CallReason = CallReason.FIRST
    cap: int | None = None  # what calls of this purpose for this one task may cost altogether; None: only the month's
    deadline: timedelta = timedelta(minutes=10)  # then, unless settled, it is assumed billed


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What an answered call cost, and what is kept of it for the ledger."""

    usage: Usage
    cost: int  # nanodollars
    baseline: int = 0  # nanodollars of the naive call: the strong model, each task alone, nothing cached
    saved: Saved = Saved()
    latency: timedelta | None = None
    request_id: str | None = None


class NotReserved(StrEnum):
    """Why no money was set aside; nothing may be sent."""

    OVER_BUDGET = "over_budget"  # the month's limit, of the workspace or of the installation
    COST_CAP = "cost_cap"  # what the approved plan may cost


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView:
    """The month so far, in nanodollars: the tighter of the workspace's and the installation's, by what is left."""

    month: str
    cap: int
    spent: int
    reserved: int
    at: datetime  # PostgreSQL's clock, UTC
    of: Literal["workspace", "installation"] = "workspace"  # whose limit it is


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTold:
    """How a workspace's month stands, and what its people were last told of it."""

    workspace: UUID
    month: BudgetView
    told: Standing  # normal until anything else was said
    lang: Lang  # of its newest task: the language that its people are spoken to


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbelieved:
    """Calls of a workspace whose provider reported more than they can have cost: booked at all that was reserved."""

    workspace: UUID
    calls: int
    lang: Lang  # as in BudgetTold


class Budget(Protocol):
    """Money: reserved before a call, settled after it; reserved + spent never passes the cap (I7)."""

    def reserve(self, call: CallRequest) -> UUID | NotReserved:
        """The call's id, or which limit would be passed. A call row committed before the request."""

    def settle(self, call: UUID, bill: Bill) -> None:
        """It was answered: book its cost, which the door holds to what was reserved. Once; later ones do nothing."""

    def void(self, call: UUID, request_id: str | None = None) -> None:
        """It certainly was not billed: the reservation is given back."""

    def assume_billed(self, call: UUID, request_id: str | None = None) -> None:
        """Nobody knows: booked in full. `request_id`: the provider's, by which its support finds the call."""

    def differed(self, call: UUID, tasks: int) -> None:
        """A call that asked again as a check: so many of its tasks were answered differently (I12)."""

    def tries(self, tasks: Sequence[UUID]) -> dict[UUID, list[Tried]]:
        """By task, what became of the calls that were to read it at once, oldest first; not of those given back.

        Of batches nothing: in them each request fails by itself. What was answered without saying what it used is
        booked like what was not answered, and counts as that.
        """

    def expire(self) -> int:
        """Assume billed every call whose deadline passed unsettled; how many."""

    def month(self, workspace: UUID) -> BudgetView:
        """The present month."""

    def standings(self) -> list[BudgetTold]:
        """Of every workspace that ever asked for money."""

    def unbelieved(self, since: timedelta) -> list[Unbelieved]:
        """Of the last so long, by workspace: answered, booked in full, and without tokens: nobody believes them."""

    def told(self, workspace: UUID, state: Standing) -> None:
        """Its people were told of this state; it stands until they are told of another, beyond the month's end."""
