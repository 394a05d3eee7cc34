"""How the month's money stands, and where it goes. Pure."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

NANO: Final = 10**9  # nanodollars of a dollar: every amount is a whole number of them
SAVING_PERCENT: Final = 80  # of the limit, spent or reserved: from here on the unimportant waits or goes by batch
EXHAUSTED_PART: Final = 500  # less than this part of the limit is left: nothing that costs money begins
ROOM_PERCENT: Final = 5  # of the limit: this much more has to be left before it is said that it got better
PACE_LEAST: Final = timedelta(days=1)  # the first hours of a month say nothing of its days


class Standing(StrEnum):
    """How a budget stands; reversible: by the next month, or by a higher limit."""

    NORMAL = "normal"
    SAVING = "saving"  # near the limit: what is not urgent waits, or is asked at half the price
    EXHAUSTED = "exhausted"  # used up: only what costs nothing goes on


_WORSE: Final = tuple(Standing)  # each worse than the one before


class Money(Protocol):
    """A month's limit and what is gone of it, in nanodollars."""

    @property
    def cap(self) -> int:
        """The limit."""

    @property
    def spent(self) -> int:
        """Booked."""

    @property
    def reserved(self) -> int:
        """Held for calls that are under way."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A month as it would be."""

    cap: int
    spent: int
    reserved: int


def shares_of(whole: int, count: int) -> list[int]:
    """A cost, or tokens, in shares as equal as whole numbers can be; their sum is the whole. At least one share."""
    each, rest = divmod(whole, max(count, 1))
    return [each + (place < rest) for place in range(max(count, 1))]


def remaining(money: Money) -> int:
    """What may still be reserved, in nanodollars; never below 0."""
    return max(0, money.cap - money.spent - money.reserved)


def standing(money: Money, one_call: int = 0) -> Standing:
    """How it stands.

    Args:
        money: of the tighter limit.
        one_call: nanodollars of the smallest call's worst case; where less is left, none can be made any more.
    """
    left = remaining(money)
    if left == 0 or left * EXHAUSTED_PART < money.cap or left < one_call:
        return Standing.EXHAUSTED
    gone = money.spent + money.reserved
    return Standing.SAVING if gone * 100 >= money.cap * SAVING_PERCENT else Standing.NORMAL


def news(told: Standing, money: Money, one_call: int = 0) -> Standing | None:
    """What people should hear of, if they were last told of `told`; None: nothing new.

    That it got worse they hear at once. That it got better only once there is some room: reservations come and go, and
    each call that does not cost its worst case would otherwise be an announcement.
    """
    now = standing(money, one_call)
    if _WORSE.index(now) > _WORSE.index(told):
        return now
    held = _Shown(money.cap, money.spent, money.reserved + money.cap * ROOM_PERCENT // 100)
    return now if _WORSE.index(standing(held, one_call)) < _WORSE.index(told) else None


def forecast(gone: int, at: datetime) -> int:
    """What will be gone by the end of the month of `at`, in nanodollars, if it goes on at the pace so far.

    Linear: what is gone (spent or reserved), divided by the time since the month began in UTC, times the whole month.
    During the first day its pace is taken for a whole day's, so that the first call is no alarm. Not held to the limit:
    it says what would be spent if there were none.
    """
    here = at.astimezone(UTC)
    first = here.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    whole = timedelta(days=calendar.monthrange(here.year, here.month)[1])
    passed = max(here - first, PACE_LEAST)
    # in whole seconds: nanodollars times a timedelta leave what a timedelta can hold
    return max(gone, gone * int(whole.total_seconds()) // int(passed.total_seconds()))
