"""What a month's calls cost, as it is looked at. Money is integer nanodollars."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol
from uuid import UUID

from common.ports.budget import Saved, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSum:
    """Some calls together: those that were billed, or may have been."""

    calls: int = 0
    tasks: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: int = 0
    baseline: int = 0  # of the naive calls; one that brought no answer counts as what it cost
    saved: Saved = field(default_factory=Saved)
    disagreements: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KindCost:
    """Tasks of one kind, and their shares of the calls that read them."""

    tasks: int
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthCosts:
    """One workspace's month."""

    month: str  # YYYY-MM, UTC
    at: datetime  # PostgreSQL's clock, UTC
    cap: int | None  # the workspace's limit in that month; None: nothing was ever reserved in it
    reserved: int
    all: CallSum
    levered: Saved  # not money: over how many tasks each lever saved or cost anything
    packs: CallSum  # calls that read more than one task
    models: dict[str, CallSum] = field(default_factory=dict)
    whys: dict[tuple[str, str], CallSum] = field(default_factory=dict)  # by purpose and reason
    days: dict[date, CallSum] = field(default_factory=dict)
    kinds: dict[str | None, KindCost] = field(default_factory=dict)  # None: the kind is not known, or no row was stored
    hits: dict[date, int] = field(default_factory=dict)  # tasks that a remembered answer decided, by day of submission
    naive_task: int = 0  # what the naive call costs for one task: the mean of the newest month that had any


class Costs(Protocol):
    """The ledger, looked at. Only the workspace's own calls."""

    def month(self, workspace: UUID, month: str | None = None) -> MonthCosts:
        """A month as `YYYY-MM`; None: the present one. Of one that was forgotten all that is known is what it cost."""

    def forget(self, kept: timedelta, limit: int = 1000) -> int:
        """Maintenance: delete calls of months that ended so long ago, at most `limit` of all workspaces; how many.

        Not before 62 days: the month that has just ended is looked at. What a month cost in all is kept.
        """
