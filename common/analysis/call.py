"""A paid call to a model, and how it ends. Values only.

Wrappers stack on `Asker`: whatever saves money goes outside the budget door, the provider's client is inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, Literal, Protocol
from uuid import UUID

from common.core.task import Failure, Json
from common.ports import CallReason, NotAnswered, Usage

Purpose = Literal["analysis", "preview", "generate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What to ask, and how much of an answer is wanted."""

    workspace: UUID
    purpose: Purpose
    model: str
    prompt_version: str
    system: str  # the same for every task, so that the provider caches it; may be empty
    content: str  # of this task alone
    max_tokens: int  # of the answer; what is longer is cut off, and paid
    schema: Mapping[str, Json] | None = None  # JSON Schema of the answer; None: plain text
    task_ids: tuple[UUID, ...] = ()
    tasks: int = 1  # how many it reads; a preview reads one that has no row
    reason: CallReason = CallReason.FIRST
    fresh: int | None = None  # of a call `failed_before`: how many of its tasks nobody read since; None: all
    cap: int | None = None  # nanodollars that calls of this purpose for its one task may cost altogether
    timeout: float = 90.0  # seconds of silence after which nobody waits any longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The provider answered and bills for it, whatever it said."""

    text: str
    stop: str  # end_turn, max_tokens, refusal …
    usage: Usage | None  # None: it does not say, or says what no number of tokens can be
    request_id: str | None = None  # the provider's own, by which its support finds the call
    cost: int = 0  # nanodollars, set by the door
    call: UUID | None = None  # its row in the ledger, set by the door


class Billed(StrEnum):
    """Whether the provider may bill for a call that brought no answer."""

    NO = "no"  # certainly not: nothing was sent, or it was refused unread
    MAYBE = "maybe"  # nobody knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """No answer. `again_in` None: asking again does not help, a person has to look."""

    code: str
    billed: Billed
    again_in: timedelta | None = None
    waiting_for: Literal["provider", "budget"] | None = None
    status: int | None = None
    detail: str | None = None  # never what the provider quoted: that may be the task, or the key (I11)
    request_id: str | None = None  # the provider's own, where it gave one
    cost: int = 0  # nanodollars: what was booked for it

    def as_not_answered(self) -> NotAnswered:
        """What an Analyzer says of it."""
        failure = Failure(code=self.code, status=self.status, detail=self.detail)
        return NotAnswered(failure=failure, again_in=self.again_in, waiting_for=self.waiting_for, cost=self.cost)


NO_MODEL: Final = Fault(code="no_model", billed=Billed.NO)  # there is no key to ask with


def counted(tokens: object) -> int:
    """A number of tokens as a provider gives it. ValueError: it is none."""
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
        raise ValueError("no number of tokens")
    return tokens


class Asker(Protocol):
    """Asks a model."""

    def ask(self, call: Call) -> Reply | Fault:
        """Once. Never raises what a Fault can say."""
