"""People hear how their money stands when that changes, in either direction, once: what goes on, what waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from common.core.policy import Policy
from common.core.spending import NANO, Standing, news, remaining, standing
from common.core.task import Lang
from common.i18n import t
from common.ports import Budget, BudgetTold, BudgetView, Clock, Workspace
from common.telemetry import metrics

LOOK_EVERY: Final = 5.0  # seconds: a burst of approvals is no reason to look at money at each of them
DECEMBER: Final = 12
Tell = Callable[[str, str, Policy], bool]  # a channel's URL, what to say, under which settings; whether it was taken


@dataclass(slots=True)
class BudgetNews:
    """Looks at every workspace's month, and tells its channel what is new. A crash may tell twice."""

    budget: Budget
    workspace: Workspace
    clock: Clock
    tell: Tell
    public_url: str
    one_call: Callable[[], int]  # nanodollars of the smallest call's worst case
    _looked: float | None = field(default=None)

    def turn(self) -> int:
        """How many workspaces were told. One that could not be is told at a later look."""
        now = self.clock.monotonic()
        if self._looked is not None and now - self._looked < LOOK_EVERY:
            return 0
        self._looked = now
        seen = self.budget.standings()
        one_call = self.one_call() if seen else 0
        if seen:
            least = min(remaining(one.month) for one in seen)
            metrics().money.standings(Counter(standing(one.month, one_call) for one in seen), least)
        return sum(self._told(one, one_call) for one in seen)

    def _told(self, one: BudgetTold, one_call: int) -> bool:
        changed = news(one.told, one.month, one_call)
        if changed is None:
            return False
        policy = self.workspace.policy(one.workspace)
        url = policy.channels.get(policy.notify or "")
        # Without a channel there is nobody to tell; the pages show it anyway.
        if url is not None and not self.tell(url, message(one.month, changed, one.lang, self.public_url), policy):
            return False
        self.budget.told(one.workspace, changed)
        return True


def message(month: BudgetView, state: Standing, lang: Lang, public_url: str) -> str:
    """What goes on, what waits, and how the limit is raised; in the language of the workspace's newest task."""
    gone = month.spent + month.reserved
    values = {
        "limit": _dollars(month.cap),
        "gone": _dollars(gone),
        "left": _dollars(remaining(month)),
        "percent": gone * 100 // max(month.cap, 1),
        "next": _next_month(month.at),
        "url": public_url.rstrip("/"),
    }
    lines = [t(f"announce.budget_{state.value}", lang, **values)]
    if state is not Standing.NORMAL:
        lines.append(t(f"announce.budget_raise_{month.of}", lang, **values))
    return "\n".join(lines)


def _dollars(nanodollars: int) -> str:
    return f"${nanodollars / NANO:,.2f}"


def _next_month(at: datetime) -> str:
    year, month = (at.year + 1, 1) if at.month == DECEMBER else (at.year, at.month + 1)
    return f"{year}-{month:02d}-01 00:00 UTC"
