"""Batches that a provider answers within hours, at half the price: on record before they are sent, until booked.

A batch is a call (`Budget` settles it, voids it, or assumes it billed) that is asked for many tasks at once. Its row is
committed before the request, so that no answer is lost with the process that waited for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from common.core.task import Risk, Task
from common.ports.budget import Bill, CallRequest, NotReserved


@dataclass(frozen=True, slots=True)
class Member:
    """A task within a request, and the nonce under which alone its answer counts (I12)."""

    task: UUID
    nonce: str
    risk: Risk | None = None  # that an earlier reading claimed: the next one cannot lower it (I5)
    cost: int = 0  # nanodollars of earlier readings


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a batch: its tasks, in the order in which it names them."""

    members: tuple[Member, ...]
    most: int  # nanodollars: its worst case, within what the batch has reserved
    check: bool = False  # it asks again about tasks of another request, as a sample (I12)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks of a batch cost, of which tasks they asked again, and how many readings differed (I12)."""

    bill: Bill
    tasks: tuple[UUID, ...]  # as often as each was read
    different: int


class NotOpened(StrEnum):
    """Why nothing was put on record, though there is money."""

    UNANSWERED = "unanswered"  # of two without an answer under one API key nobody could tell which batch is whose


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch that is not booked yet. `asked[n]` has the custom id `custom_id(n)`."""

    id: UUID  # the call's
    workspace: UUID
    model: str
    prompt_version: str
    reason: str
    asked: tuple[Asked, ...]
    of: UUID  # the call whose request it came of: itself, but for an orphan
    key: str  # fingerprint of the API key that asked
    provider_id: str | None = None  # None: nobody knows yet whether there is one
    certain: bool = False  # it is ours; else only time and count say so, until its custom ids are seen
    answered: bool = False  # the request that made it was: nothing else came of it
    not_ours: tuple[str, ...] = ()  # provider's ids that turned out to be others'
    reserved: int  # nanodollars
    opened_at: datetime  # PostgreSQL's clock
    age: timedelta

    def custom_id(self, number: int) -> str:
        """Of the request with this number."""
        return custom_id(self.of, number)


def custom_id(call: UUID, number: int) -> str:
    """What the provider is to call a request; 64 characters of [a-zA-Z0-9_-] at most."""
    return f"{call.hex}_{number}"


def call_of(name: str) -> UUID | None:
    """Whose request has this custom id; None: it is none of ours."""
    try:
        return UUID(hex=name.partition("_")[0])
    except ValueError:
        return None


class Batches(Protocol):
    """Batches on record. A method is one commit."""

    def is_free(self, key: str) -> bool:
        """Whether no batch of this API key's fingerprint is without an answer: only then one may be opened."""

    def open(self, call: CallRequest, key: str, asked: Sequence[Asked]) -> UUID | NotReserved | NotOpened:
        """Put on record, with the worst case reserved as by `Budget.reserve` (I7), that it is about to be sent.

        The call's id. First looked at when its `deadline` for an answer to the request, `ANSWER_IN`, has passed.
        """

    def name(
        self, batch: UUID, provider_id: str, *, certain: bool, answered: bool = False, instead_of: str | None = None
    ) -> bool:
        """The provider's id is known, in place of one that was not certain and is remembered as `not_ours`.

        `instead_of`: the id that the caller saw; what is only likely replaces no other, which another replica may have
        found meanwhile. What only may be an orphan's (or was taken for a batch's that is given up) is free to be taken:
        that row is closed and loses the id in the same commit. What is certain is taken from an open batch, too: it is
        then without an answer again, where that is free. False, and nothing written: it is not open any more, is
        certain of another id, or another batch has this one.
        """

    def begin(self, batch: UUID) -> bool:
        """The last look before it is sent; the process may have stood still since it was opened.

        False: it was closed meanwhile, is certain of an id, or was opened longer than `SEND_WITHIN` ago by the
        database's clock. Then nothing may be sent: nobody would look for what comes of it.
        """

    def give_up(self, batch: UUID, seen: str | None, *, billed: bool, after: timedelta = timedelta(0)) -> bool:
        """Close it without a bill, if it still is as the caller saw it; tasks that wait for it are due at once (I9).

        Args:
            batch: the call's id.
            seen: the provider's id under which it was found to be gone or another's; None: there was none.
            billed: nobody knows what it cost: it is assumed billed in full (an orphan: what its requests cost at most).
                Else it certainly was not made, and what was reserved is given back; one that is certainly ours is not.
            after: how long ago it must have been opened, by the database's clock.

        False, and nothing written: it is not open any more, has another id, is ours, or is too young.
        """

    def checked(self, batch: UUID, checked: Checked) -> bool:
        """Book what its checks cost out of what is reserved for it (I7), in a row of the ledger for the reason `check`.

        Once, before it is settled itself. False, and nothing written: that was done, or it is not open any more.
        """

    def orphan(self, of: UUID, provider_id: str, *, certain: bool) -> bool:
        """One more batch may have come of this call's request: it is on record, and booked when its cost is known.

        All but nothing is reserved: it was sent already. One that is `certain` takes the id as `name` does. False, and
        nothing written: the id is on record, or there is no such call.
        """

    def known(self, provider_ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that are on record, other than of an open orphan that is not certain: `name` may take it."""

    def is_on_record(self, call: UUID) -> bool:
        """Whether this is a call whose request for a batch is on record, open or closed."""

    def due(self, limit: int) -> list[Batch]:
        """Those to be looked at now, each once in a tenth of its age (a minute at least, five at most)."""

    def next_due(self) -> timedelta | None:
        """How long until the next is to be looked at; None: there is none."""

    def parked(self, batch: UUID, limit: int = 1000) -> list[Task]:
        """Tasks that wait for it, without a lease."""


ANSWER_IN = timedelta(minutes=3)  # a request to make a batch has its answer by then, or nobody waits for it any more
SEND_WITHIN = timedelta(minutes=5)  # of its record: whoever stood still for longer sends nothing
