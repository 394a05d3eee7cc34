"""Money: reserved before a call, settled after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of a call by kind; `input` excludes what was read from or written to the prompt cache."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """A paid call about to be made. Money is integer nanodollars."""

    workspace: UUID
    purpose: str  # "analysis", "preview", "generate"
    model: str
    prompt_version: str
    reserve: int
    task_ids: tuple[UUID, ...] = ()
    deadline: timedelta = timedelta(minutes=10)  # then, unless settled, it is assumed billed


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView:
    """The month so far, in nanodollars."""

    month: str
    cap: int
    spent: int
    reserved: int


class Budget(Protocol):
    """Money: reserved before a call, settled after it; reserved + spent never passes the cap (I7)."""

    def reserve(self, call: CallRequest) -> UUID | None:
        """The call's id; None if the cap would be passed. A call row committed before the request."""

    def settle(self, call: UUID, usage: Usage, cost: int) -> None:
        """It was answered: book what it cost, in full even if more than reserved. Once; later ones do nothing."""

    def void(self, call: UUID) -> None:
        """It certainly was not billed: the reservation is given back."""

    def assume_billed(self, call: UUID) -> None:
        """Nobody knows: booked in full."""

    def expire(self) -> int:
        """Assume billed every call whose deadline passed unsettled; how many."""

    def month(self, workspace: UUID) -> BudgetView:
        """The present month."""
